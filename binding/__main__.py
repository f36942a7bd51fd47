"""`python -m binding`: the sidecar, and what an operator asks of a running one."""

from __future__ import annotations

import getopt  # argparse costs 0.4 MiB of every VM
import os
import sys

from binding.process import lazy, logs, no_openssl  # noqa: F401  # imported for what they keep out
from binding.version import VERSION

_HOOKS_DIR = "/var/run/kubevirt-hooks"
_OPTIONS = ["hooks-dir=", "plugin-dir=", "log-level=", "version", "help"]


def main() -> int:
    """Run the sidecar until the VM ends, or one command. Returns the exit status."""
    try:
        options, words = getopt.getopt(sys.argv[1:], "h", _OPTIONS)
    except getopt.GetoptError as error:
        sys.stderr.write(f"dsbridge: {error}; see dsbridge --help\n")
        return 2
    given = {name.lstrip("-"): value for name, value in options}
    if "version" in given:
        sys.stdout.write(f"{VERSION}\n")
        return 0
    if words or given.keys() & {"h", "help"}:
        from binding.operator import commands  # noqa: PLC0415  # the sidecar does without

        return commands.main(sys.argv[1:])
    if given.get("log-level", "info") not in logs.LEVELS:
        sys.stderr.write(f"dsbridge: --log-level must be one of {', '.join(logs.LEVELS)}\n")
        return 2
    if "log-level" in given:
        os.environ["DSBRIDGE_LOG"] = given["log-level"]  # for our other programs, too
    logs.to_stderr()
    from binding.sidecar import start  # noqa: PLC0415  # the commands do without

    plugin_dir = given.get("plugin-dir")
    if not plugin_dir and "hooks-dir" not in given:
        plugin_dir = os.environ.get("DSBRIDGE_PLUGIN_DIR")
    directory = plugin_dir or given.get("hooks-dir") or _HOOKS_DIR
    return start.run(directory, structured=bool(plugin_dir))


if __name__ == "__main__":
    sys.exit(main())
