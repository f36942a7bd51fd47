"""What plumb answers: lines of JSON on stdout."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress

_STDOUT = 1


def say(answer: str, beside: socket.socket | None = None) -> None:
    """Print one answer, with a descriptor beside its first byte where stdout can carry it."""
    data = f"{answer}\n".encode()
    with suppress(BrokenPipeError):  # the sidecar has ended: nobody reads the answer
        if beside is not None and stat.S_ISSOCK(os.fstat(_STDOUT).st_mode):
            with socket.socket(fileno=os.dup(_STDOUT)) as stdout:
                data = data[socket.send_fds(stdout, [data], [beside.fileno()]) :]
        while data:
            data = data[os.write(_STDOUT, data) :]
