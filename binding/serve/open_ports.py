"""The packet sockets of this process: handed over by the sidecar, or opened with NET_RAW."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from binding.packet import bpf, guard, links
from binding.packet.port import Port
from guest.network import GuestNetwork


class PortError(Exception):
    """A packet socket at a link that cannot be opened, or bound."""

    def __init__(self, link: str, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.link = link
        self.is_gone = error.errno == errno.ENODEV
        self.privilege = "NET_RAW" if isinstance(error, PermissionError) else ""
        """The capability that is missing, if that is the reason."""


class OpenPorts:
    """The packet sockets of this process, one for each link."""

    def __init__(self) -> None:
        self._ports: dict[str, Port] = {}

    def __iter__(self) -> Iterator[Port]:
        """Yield them in the order in which they were opened."""
        return iter(self._ports.values())

    def at(
        self,
        link: str,
        rules: tuple[bpf.Instruction, ...],
        handed: dict[str, int],
        place: str | None = None,
    ) -> Port:
        """Return the port of a link with this filter, bound to `place` or to the listening bridge.

        `handed` are descriptors of the sidecar by link; one that is used is taken out. Raises
        PortError.
        """
        port = self._ports.pop(link, None)
        if port is None and link in handed:
            port = Port(link, socket.socket(fileno=handed.pop(link)))
        try:
            if port is None:
                port = Port.open(link, rules, place or links.place(link))
            else:
                port.restrict(rules)
                if place or not port.is_bound:
                    port.listen(place or links.place(link))
        except OSError as error:
            raise PortError(link, error) from error
        self._ports[link] = port
        return port

    def of(
        self, guest: GuestNetwork, handed: dict[str, int], *, is_arriving: bool
    ) -> tuple[Port, Port | None]:
        """Return the ports of a guest's tap and of its NIC, if there is one. Raises PortError.

        A guest of which nothing has been heard yet is heard whatever it sends.
        """
        asked = bpf.program(bpf.guest_rules(guard.parties(guest)))
        rules = bpf.EVERYTHING if is_arriving else asked
        tap = self.at(guest.tap, rules, handed, guest.tap if is_arriving else None)
        if not guest.nic:
            return tap, None
        try:
            return tap, self.at(guest.nic, bpf.program(bpf.NETWORK_RULES), handed)
        except PortError as error:
            if not error.is_gone:  # the sidecar names a NIC that is gone
                raise
            return tap, None
