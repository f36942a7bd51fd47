"""A guest without a VM: a namespace whose eth0 is plugged into a tap, as QEMU plugs one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bed.netns import Netns, end, netns

_FORWARDER = Path(__file__).with_name("tap_forwarder.py")


@contextmanager
def cable(
    pod: Netns, tap: str = "tap0", *, mac: str, mtu: int = 1500, queues: int = 1
) -> Iterator[Netns]:
    """Plug a new guest namespace into a tap of the pod; yields it with eth0 still down.

    `queues` is what the domain asks for: the tap's own kind must match, as for QEMU.
    """
    if not pod.has(tap):
        raise RuntimeError(f"no {tap} in {pod.name}: QEMU would not start")
    with netns("guest") as guest:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", _FORWARDER, pod.path, guest.path, tap, str(queues)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            if not process.stdout.readline():
                raise RuntimeError(f"cable to {tap}: {process.stderr.read().decode().strip()}")
            guest.ip(f"link set eth0 address {mac} mtu {mtu}")
            yield guest
        finally:
            end(process)
            process.stdout.close()
            process.stderr.close()
