"""Files in `<hooks dir>/state/` for a sidecar that starts anew in the same pod.

Other containers of the pod can write there, so a file is opened without following a link or waiting
for a FIFO, read only if it is a regular one of at most 1 MiB, and replaced whatever it is.
"""

from __future__ import annotations

import logging
import os
import stat

from binding.process.shortage import passes

_log = logging.getLogger(__name__)

_MOST = 1 << 20


def load(path: str) -> bytes | None:
    """Return what was saved; None, and a warning, when that cannot be used.

    Raises OSError where the node is short of what reading takes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if passes(error):
            raise
        unusable(path, error.strerror or str(error))
        return None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            unusable(path, "no regular file")
        elif about.st_size > _MOST:
            unusable(path, f"{about.st_size} bytes, the most are {_MOST}")
        else:
            return os.read(descriptor, _MOST)
    except OSError as error:
        unusable(path, error.strerror or str(error))
    finally:
        os.close(descriptor)
    return None


def unusable(path: str, reason: str) -> None:
    """Warn that a state file is not used, and why."""
    _log.warning("ignoring unreadable state file %s, it will be replaced: %s", path, reason)


def save(path: str, data: str | bytes) -> None:
    """Write in one step, so that a reader sees the former file or this one. Never fatal."""
    new = f"{path}.new"
    try:
        _clear(new)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(new, flags, 0o600), "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        if stat.S_ISDIR(_mode(path)):
            _clear(path)
        os.replace(new, path)
    except OSError as error:
        reason = error.strerror or error
        _log.warning("cannot save %s, a restarted sidecar will miss it: %s", path, reason)


def _clear(path: str) -> None:
    """Make room at a path, whatever is there; a directory that is not empty is moved aside."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        os.rename(path, f"{path}.unusable-{os.getpid()}")


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError:
        return 0
