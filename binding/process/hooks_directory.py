"""The directory in which KubeVirt looks for the sidecar's socket, and commands for its answers."""

from __future__ import annotations

import os

DEFAULT = "/var/run/kubevirt-hooks"


def chosen(hooks_dir: str | None, plugin_dir: str | None) -> tuple[str, bool]:
    """Return the directory by the command line, and whether it is that of structured plugins.

    Where the command line names none, DSBRIDGE_PLUGIN_DIR may.
    """
    if not hooks_dir and not plugin_dir:
        plugin_dir = os.environ.get("DSBRIDGE_PLUGIN_DIR")
    return plugin_dir or hooks_dir or DEFAULT, bool(plugin_dir)
