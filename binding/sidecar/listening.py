"""Listening unix sockets of the sidecar, in its own directory."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_BACKLOG = 512
"""Connections that wait while hooks starts; a connect beyond fails at once."""


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def listen(directory: str, name: str) -> socket.socket:
    """Return a listening socket by that name, in the place of one that is left there.

    Raises OSError.
    """
    remove(os.path.join(directory, name))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # By descriptor: the path of a unix socket may have 107 bytes, a directory more.
        short = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        try:
            listener.bind(f"/proc/self/fd/{short}/{name}")
        finally:
            os.close(short)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
