"""What plumb answers: lines of JSON on stdout."""

from __future__ import annotations

import os
import socket
import stat
import sys

_STDOUT = 1


def say(answer: str, beside: socket.socket | None = None) -> None:
    """Print one answer, with a descriptor beside its first byte where stdout can carry it."""
    data = f"{answer}\n".encode()
    if beside is not None and stat.S_ISSOCK(os.fstat(_STDOUT).st_mode):
        with socket.socket(fileno=os.dup(_STDOUT)) as stdout:
            sent = socket.send_fds(stdout, [data], [beside.fileno()])
        data = data[sent:]
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
