"""Which families of one guest are ours to serve: fixed by `provider`, or found out for `auto`.

For `auto` the network is asked (serve.network_probe) before the guest's first boot. On a migration
target nothing is sent in the guest's name before the guest's own first frame, which begins the
search. A request that names its server (REQUEST, RENEW …) then decides for its family at once and
for good, as on the former node. REBIND, CONFIRM, DISCOVER, SOLICIT and RS name no server: they wait
for the search. No I/O.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from binding.serve import network_probe
from binding.serve.other_servers import ServerMessage
from dhcp import v4_request, v6, v6_message
from dhcp.v4_reply import EVERYBODY
from guest.ethernet import ICMPV6, UDP
from guest.exchange import Malformed
from guest.frame import Packet
from guest.network import FAMILIES, Family, GuestNetwork

BOTH: frozenset[Family] = frozenset(FAMILIES)


class Choice:
    """Finds out who serves one guest. `decided` is what a former process had found out for it."""

    def __init__(
        self, guest: GuestNetwork, now: float, decided: frozenset[Family] | None = None
    ) -> None:
        self._guest = guest
        self._search: network_probe.Search | None = None
        self._named: dict[Family, bool] = {}
        self.ours: frozenset[Family] | None = decided
        """The families that we serve; None while that is not known."""
        if guest.provider != "auto":
            self.ours = BOTH if guest.provider == "in-pod" else frozenset()
        elif decided is None and not guest.migration_target:
            self.begin(now)

    @property
    def wake_at(self) -> float | None:
        """When `due` must be called (monotonic seconds)."""
        return self._search.at if self._search and self.ours is None else None

    def begin(self, now: float) -> None:
        """Look for other servers, unless that has been done: the guest is here."""
        if self.ours is None and self._search is None:
            self._search = network_probe.start(self._guest, now)
            self._conclude()

    def due(self, now: float) -> tuple[bytes, ...]:
        """Return what is to be sent out at the pod NIC now."""
        if self._search is None or self.ours is not None:
            return ()
        self._search, frames = network_probe.due(self._search, self._guest, now)
        self._conclude()
        return frames

    def from_network(self, answer: ServerMessage) -> None:
        """Take note of an answer that the network gives the guest."""
        if self._search is not None and self.ours is None:
            self._search = network_probe.take_offer(self._search, self._guest, answer)
            self._conclude()

    def from_guest(self, packet: Packet) -> None:
        """Take note of the server that a migrated guest has."""
        guest = self._guest
        if guest.provider != "auto" or not guest.migration_target or packet.src_mac != guest.mac:
            return
        named = named_server(packet, guest)
        if named is None or named[0] in self._named:
            return
        family, is_ours = named
        self._named[family] = is_ours
        if self.ours is not None:
            self.ours = self.ours | {family} if is_ours else self.ours - {family}
        else:
            self._conclude()

    def _conclude(self) -> None:
        if self._search is None or self.ours is not None:
            return
        asked = self._search.wanted - self._search.offered - self._named.keys()
        if not asked:
            by_ovn = {family for family in self._search.offered if not self._named.get(family)}
            by_ovn |= {family for family, is_ours in self._named.items() if not is_ours}
            self.ours = BOTH - by_ovn


def named_server(packet: Packet, guest: GuestNetwork) -> tuple[Family, bool] | None:
    """Return the family whose server a request names, and whether that is us."""
    if packet.protocol == ICMPV6:
        return None
    if packet.protocol == UDP and packet.src.version == 4:
        request = v4_request.read(packet.payload)
        if isinstance(request, Malformed):
            return None
        server = request.server
        if server is None and request.ciaddr == packet.src and packet.dst != EVERYBODY:
            server = IPv4Address(packet.dst)  # RENEWING (RFC 2131 section 4.3.2)
        return None if server is None else (4, server == guest.server4)
    message = v6_message.parse(packet.payload)
    if isinstance(message, Malformed) or message.server_id is None:
        return None
    return 6, message.server_id == v6.server_duid(guest)
