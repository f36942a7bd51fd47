"""The packet sockets that `serve` has opened, kept so that the next `serve` needs no privilege."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Collection

from binding.packet.port import Port


class PacketSockets:
    """Packet sockets by link; a link has one at most."""

    def __init__(self) -> None:
        self.ports: dict[str, Port] = {}

    def keep(self, sockets: dict[str, int]) -> None:
        """Keep these descriptors, and close what was kept before.

        Raises ValueError, and keeps what was kept, where one is no packet socket.
        """
        for descriptor in sockets.values():
            if _family(descriptor) != socket.AF_PACKET:
                for each in sockets.values():
                    os.close(each)
                raise ValueError("one of the sockets is no packet socket")
        for port in self.ports.values():
            port.socket.close()
        self.ports = {link: Port(link, socket.socket(fileno=fd)) for link, fd in sockets.items()}

    def of(self, links: Collection[str]) -> dict[str, Port]:
        return {link: port for link, port in self.ports.items() if link in links}

    @property
    def have_frames(self) -> bool:
        """Whether a frame waits to be read."""
        waiting = select.poll()
        for port in self.ports.values():
            waiting.register(port.socket, select.POLLIN)
        return bool(self.ports) and bool(waiting.poll(0))


def _family(descriptor: int) -> int:
    """Return the address family of a socket, 0 for what is none."""
    copy = os.dup(descriptor)
    try:
        one = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return 0
    with one:
        return one.family
