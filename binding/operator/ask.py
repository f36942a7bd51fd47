"""Asks the sidecar, by the sockets in its hooks directory."""

from __future__ import annotations

import errno
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from binding.ipc.codec import decode
from binding.ipc.status import Status

_WITHIN = 5.0
_WHY = {
    errno.ENOENT: "it has not started there, or its directory was emptied: see its log",
    errno.ENOTDIR: "it has not started there: see its log",
    errno.ECONNREFUSED: "it has ended: see its log",
}


def text(directory: Path) -> str | None:
    """Return the status object as JSON; None, with the reason on stderr, when nobody answers."""
    return _answer(directory, "status.sock", "", _WITHIN)


def control(directory: Path, line: str, within: float) -> str | None:
    """Return the control socket's answer to a line; None, with the reason on stderr, without one.

    The answer is waited for `within` seconds.
    """
    return _answer(directory, "control.sock", line, within)


def _answer(directory: Path, name: str, line: str, within: float) -> str | None:
    try:
        return _ask(directory / "state", name, line, within)
    except OSError as error:
        why = _WHY.get(error.errno or 0, error.strerror or str(error))
        if isinstance(error, TimeoutError):
            why = f"not within {within:g} s: it is stopped, or the node is overloaded"
        sys.stderr.write(f"no sidecar answers in {directory}: {why}\n")
        return None


def status(directory: Path) -> Status | None:
    """Return the status object; None, with the reason on stderr, when nobody answers."""
    said = text(directory)
    if said is None:
        return None
    with suppress(ValueError):
        return decode(Status, said)
    sys.stderr.write(f"the sidecar in {directory} is of another version; exec into its container\n")
    return None


def _ask(state: Path, name: str, line: str, within: float) -> str:
    # By descriptor: the path of a unix socket may have 107 bytes, a directory more.
    directory = os.open(state, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(within)
            client.connect(f"/proc/self/fd/{directory}/{name}")
            if line:
                client.sendall(line.encode())
            chunks = []
            while chunk := client.recv(65536):
                chunks.append(chunk)
    finally:
        os.close(directory)
    if not chunks:
        raise OSError("it hung up without a word")
    return b"".join(chunks).decode()
