"""The packet sockets that `serve` has opened, kept so that the next `serve` needs no privilege."""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Collection, Iterable

from binding.packet.port import Port

_log = logging.getLogger(__name__)


class PacketSockets:
    """Packet sockets by link; a link has one at most."""

    def __init__(self) -> None:
        self.ports: dict[str, Port] = {}

    def keep(self, sockets: dict[str, int]) -> bool:
        """Keep these descriptors, close those kept before, and return True.

        Returns False, and keeps the former, where the node is too short of descriptors or memory.
        Raises ValueError, and keeps the former, where one is no packet socket.
        """
        try:
            _check(sockets.values())
        except (ValueError, OSError) as error:
            for each in sockets.values():
                os.close(each)
            if isinstance(error, ValueError):
                raise
            _log.warning("cannot keep the packet sockets of serve, starting another: %s", error)
            return False
        for port in self.ports.values():
            port.socket.close()
        self.ports = {link: Port(link, socket.socket(fileno=fd)) for link, fd in sockets.items()}
        return True

    def of(self, links: Collection[str]) -> dict[str, Port]:
        return {link: port for link, port in self.ports.items() if link in links}

    @property
    def have_frames(self) -> bool:
        """Whether a frame waits to be read."""
        waiting = select.poll()
        for port in self.ports.values():
            waiting.register(port.socket, select.POLLIN)
        return bool(self.ports) and bool(waiting.poll(0))


def _check(descriptors: Iterable[int]) -> None:
    if any(_family(one) != socket.AF_PACKET for one in descriptors):
        raise ValueError("one of the sockets is no packet socket")


def _family(descriptor: int) -> int:
    """Return the address family of a socket, 0 for what is none. Raises OSError."""
    copy = os.dup(descriptor)
    try:
        one = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return 0
    with one:
        return one.family
