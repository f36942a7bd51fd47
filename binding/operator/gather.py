"""`dsbridge gather`: all that helps to find a fault, as one tar on stdout."""

from __future__ import annotations

import io
import json
import os
import platform
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from binding.ipc.codec import plain
from binding.ipc.status import Status
from binding.operator import ask, capture, diagnose, look, metrics, text
from binding.version import VERSION

_PROC = ("net/dev", "net/arp", "net/route", "net/ipv6_route", "net/if_inet6", "net/packet")
_STATE = ("snapshot.json", "desired.json")
_MOST_FRAMES = 2_000


def gather(directory: Path, seconds: float) -> int:
    """Write the tar; what cannot be had is in it as the reason why. Returns the exit status."""
    if sys.stdout.isatty():
        sys.stderr.write("a tar is no text for a terminal: dsbridge gather > dsbridge.tar\n")
        return 1
    said = ask.text(directory)
    status = ask.status(directory) if said is not None else None
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        for name, make in _parts(directory, status, said or "", seconds):
            sys.stderr.write(f"{name}\n")
            try:
                content = make()
            except Exception as error:  # noqa: BLE001  # one part must not cost the others
                content = f"cannot be had: {type(error).__name__}: {error}\n".encode()
            entry = tarfile.TarInfo(f"dsbridge/{name}")
            entry.size, entry.mtime = len(content), int(time.time())
            tar.addfile(entry, io.BytesIO(content))
    return 0 if status is not None else diagnose.NO_SIDECAR


def _parts(
    directory: Path, status: Status | None, said: str, seconds: float
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "versions.txt", _versions
    for name in _STATE:
        yield name, (directory / "state" / name).read_bytes
    for name in _PROC:
        yield f"proc/{name.replace('/', '-')}", Path("/proc/self", name).read_bytes
    if status is None:
        return
    yield "status.json", said.encode
    yield "status.txt", lambda: text.text(status, wide=True).encode()
    yield "metrics.txt", lambda: metrics.prometheus(status).encode()
    ports = _forked(lambda: _captured(status, seconds))
    yield "capture.pcapng", lambda: ports
    seen = look.take(status, directory)
    found = diagnose.findings(status, seen)
    yield "diagnose.txt", lambda: diagnose.text(found).encode()
    yield "diagnose.json", lambda: json.dumps(plain(found), indent=1).encode()
    yield "links.json", lambda: json.dumps(plain((seen.links, seen.details)), indent=1).encode()
    yield "nftables.json", lambda: json.dumps(plain(seen.guard), indent=1).encode()


def _versions() -> bytes:
    lines = (f"dsbridge {VERSION}", f"Python {sys.version}", " ".join(platform.uname()))
    return "\n".join((*lines, "")).encode()


def _captured(status: Status, seconds: float) -> bytes:
    out = io.BytesIO()
    ports = capture.opened([guest.tap for guest in status.guests])
    if ports:
        capture.write(out, ports, time.monotonic() + seconds, _MOST_FRAMES)
    return out.getvalue()


def _forked(work: Callable[[], bytes]) -> bytes:
    """Do the work in a forked process, which gives its capabilities up; return the result."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            with os.fdopen(writer, "wb") as out:
                out.write(work())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        content = said.read()
    os.waitpid(child, 0)
    return content
