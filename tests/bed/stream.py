"""A TCP stream with a few octets every 10 ms, and how long none came.

As a program: `serve ADDRESS` sends to whoever connects; `read ADDRESS` prints the monotonic time
of whatever it receives.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from tests.bed.netns import Netns, end
from tests.bed.wait import until

_PORT = 7
_EVERY = 0.01


@dataclass(frozen=True, slots=True)
class Stream:
    """A running reader."""

    output: Path

    def times(self) -> list[float]:
        """Return when anything was received, in monotonic seconds."""
        lines = self.output.read_text().split("\n")
        return [float(line) for line in lines[:-1]]  # the last one may be half written

    def stall(self) -> float:
        """Return the longest time in which nothing came, in seconds."""
        return max((b - a for a, b in itertools.pairwise(self.times())), default=0.0)

    def goes_on(self, timeout: float = 30) -> None:
        """Wait until more is received."""
        before = len(self.times())
        until(lambda: len(self.times()) > before + 10, "the stream goes on", timeout)


@contextmanager
def stream(reader: Netns, server: Netns, address: object, workdir: Path) -> Iterator[Stream]:
    """Let one namespace read from `address` of another; data has come when the block begins."""
    output = workdir / f"stream-{address}".replace(":", "-")
    program = (sys.executable, "-m", "tests.bed.stream")
    root = Path(__file__).parents[2]
    with output.open("wb") as out:
        serving = server.popen(*program, "serve", str(address), cwd=root, stdout=subprocess.PIPE)
        assert serving.stdout
        serving.stdout.readline()
        reading = reader.popen(*program, "read", str(address), cwd=root, stdout=out)
    try:
        found = Stream(output)
        until(lambda: len(found.times()) > 3, f"data from {address}")
        yield found
    finally:
        for process in (reading, serving):
            end(process)
        serving.stdout.close()


@contextmanager
def echoed(server: Netns, address: object, workdir: Path) -> Iterator[Stream]:
    """Serve a stream whose reader sends all of it back, and note when that comes."""
    output = workdir / f"echoed-{address}".replace(":", "-")
    with output.open("wb") as out:
        program = (sys.executable, "-m", "tests.bed.stream", "echoed", str(address))
        process = server.popen(*program, cwd=Path(__file__).parents[2], stdout=out)
    try:
        listening = ("ss", "-Hltn", f"src {_in_ss(address)}:{_PORT}")
        until(lambda: server.run(*listening), "the stream's server")
        yield Stream(output)
    finally:
        end(process)


def _in_ss(address: object) -> str:
    return f"[{address}]" if ":" in str(address) else str(address)


def _echoed(address: str) -> None:
    with socket.create_server((address, _PORT), family=_family(address)) as listener:
        connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Thread(target=_send, args=(connection,), daemon=True).start()
        while connection.recv(4096):
            print(time.monotonic(), flush=True)


def _serve(address: str) -> None:
    with socket.create_server((address, _PORT), family=_family(address)) as listener:
        print("ready", flush=True)
        connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _send(connection)


def _send(connection: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection.sendall(b"a few octets")
            time.sleep(_EVERY)


def _read(address: str) -> None:
    with socket.create_connection((address, _PORT)) as connection:
        while connection.recv(4096):
            print(time.monotonic(), flush=True)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


if __name__ == "__main__":
    {"serve": _serve, "read": _read, "echoed": _echoed}[sys.argv[1]](sys.argv[2])
