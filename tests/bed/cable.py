"""A guest without a VM: a namespace whose eth0 is plugged into a tap, as QEMU plugs one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bed.netns import Netns, end, netns

_FORWARDER = Path(__file__).with_name("tap_forwarder.py")


@dataclass(frozen=True, slots=True)
class Migration:
    """Moves a guest that runs to another pod's tap; its eth0 notices nothing of it."""

    process: subprocess.Popen[bytes]

    def open(self, pod: Netns, tap: str = "tap0") -> None:
        """Open a tap as QEMU does on the target, before the guest is there."""
        self._do(f"open {pod.path} {tap}")

    def move(self, mac: str) -> None:
        """Let the guest run on the target."""
        self._do(f"move {mac}")

    def close(self) -> None:
        """End QEMU on the source."""
        self._do("close")

    def _do(self, line: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()
        if not self.process.stdout.readline():
            raise RuntimeError(f"{line}: {self.process.communicate()[1].decode().strip()}")


@contextmanager
def cable(
    pod: Netns, tap: str = "tap0", *, mac: str, mtu: int = 1500, queues: int = 1
) -> Iterator[Netns]:
    """Plug a new guest namespace into a tap of the pod; yields it with eth0 still down.

    `queues` is what the domain asks for: the tap's own kind must match, as for QEMU.
    """
    with migrating(pod, tap, mac=mac, mtu=mtu, queues=queues) as (guest, _):
        yield guest


@contextmanager
def migrating(
    pod: Netns, tap: str = "tap0", *, mac: str, mtu: int = 1500, queues: int = 1
) -> Iterator[tuple[Netns, Migration]]:
    """Do what `cable` does, for a guest that can be moved to another pod."""
    if not pod.has(tap):
        raise RuntimeError(f"no {tap} in {pod.name}: QEMU would not start")
    with netns("guest") as guest:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", _FORWARDER, pod.path, guest.path, tap, str(queues)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            if not process.stdout.readline():
                raise RuntimeError(f"cable to {tap}: {process.stderr.read().decode().strip()}")
            guest.ip(f"link set eth0 address {mac} mtu {mtu}")
            yield guest, Migration(process)
        finally:
            end(process)
            for pipe in (process.stdin, process.stdout, process.stderr):
                pipe.close()
