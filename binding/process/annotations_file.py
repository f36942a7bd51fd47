"""The pod's annotations, where the admission policy mounts them: a downward API volume."""

from __future__ import annotations

import os
import stat

PATH = "/etc/dsbridge/annotations"
"""Where deploy/policy mounts them; DSBRIDGE_ANNOTATIONS names another file."""
_MOST = 1 << 20
"""Octets: Kubernetes allows 256 KiB of annotations, and their quoting makes them longer."""


def path() -> str:
    """Return the path of the file, whether it is there or not."""
    return os.environ.get("DSBRIDGE_ANNOTATIONS") or PATH


def read() -> str:
    """Return the text of the file, empty where nothing is mounted. Never waits for a writer."""
    try:
        number = os.open(path(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        return ""
    with open(number, "rb") as file:
        return file.read(_MOST).decode(errors="replace")
