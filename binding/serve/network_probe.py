"""Asks the pod network, in the guest's name, whether a server there offers the pod's own address.

A DISCOVER and a SOLICIT, as the guest itself would send them, leave by the pod NIC before the
guest boots. Where the answer has the pod's address, OVN (or another server) serves that family.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (
    DUID_LL,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptElapsedTime,
    DHCP6OptIA_NA,
    DHCP6OptOptReq,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from binding.serve.other_servers import ServerMessage
from dhcp.v4_reply import EVERYBODY, NOBODY
from guest.ethernet import (
    ALL_DHCP6_SERVERS,
    BROADCAST,
    DHCP4_CLIENT,
    DHCP4_SERVER,
    DHCP6_CLIENT,
    DHCP6_SERVER,
    group_mac,
    mac_bytes,
)  # fmt: skip
from guest.network import FAMILIES, Family, GuestNetwork
from ra.gateway import eui64

TRIES = 3
BETWEEN_TRIES = 0.5
"""Seconds, so that a guest waits 1.5 s at most until it is known who serves it."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search under way."""

    wanted: frozenset[Family]
    """The families that the pod has an address of."""
    at: float
    """Monotonic seconds: when the next try is due or, after the last, the search ends."""
    tries: int = 0
    offered: frozenset[Family] = frozenset()

    @property
    def done(self) -> bool:
        """Whether there is nothing left to be found out."""
        return self.offered >= self.wanted


def start(guest: GuestNetwork, now: float) -> Search:
    """Begin the search; without a pod NIC there is no network to ask."""
    gets = {4: guest.gets_ipv4, 6: guest.gets_ipv6}
    wanted = (family for family in FAMILIES if guest.nic and gets[family])
    return Search(frozenset(wanted), now)


def due(search: Search, guest: GuestNetwork, now: float) -> tuple[Search, tuple[bytes, ...]]:
    """Return the requests of a try that is due, for families without an offer; three tries."""
    if now < search.at or search.done:
        return search, ()
    if search.tries == TRIES:
        return replace(search, wanted=search.offered), ()
    asked = search.wanted - search.offered
    frames = tuple(_REQUESTS[family](guest) for family in sorted(asked))
    return replace(search, tries=search.tries + 1, at=now + BETWEEN_TRIES), frames


def take_offer(search: Search, guest: GuestNetwork, answer: ServerMessage) -> Search:
    """Take note of an offer of the pod's own address."""
    if answer.kind not in _OFFERS or not set(guest.addresses).intersection(answer.addresses):
        return search
    return replace(search, offered=search.offered | {_OFFERS[answer.kind]})


def _transaction(guest: GuestNetwork) -> bytes:
    """Return the transaction id of this guest's probes, another one for each guest."""
    return sha256(f"probe {guest.mac}".encode()).digest()[:4]


def discover(guest: GuestNetwork, asked: Sequence[int] = (1, 3, 6, 51, 54)) -> bytes:
    """Return a DISCOVER of the guest that asks for these options."""
    bootp = BOOTP(chaddr=mac_bytes(guest.mac), xid=int.from_bytes(_transaction(guest)))
    options = DHCP(options=[("message-type", "discover"), (55, bytes(asked)), "end"])
    ends = IP(src=str(NOBODY), dst=str(EVERYBODY)) / UDP(sport=DHCP4_CLIENT, dport=DHCP4_SERVER)
    return bytes(Ether(src=guest.mac, dst=BROADCAST) / ends / bootp / options)


def solicit(guest: GuestNetwork, asked: Sequence[int] = (23,)) -> bytes:
    """Return a SOLICIT of the guest that asks for these options."""
    # OVN takes an IA_NA with IAID 0 for none.
    options = (
        DHCP6OptClientId(duid=DUID_LL(lladdr=guest.mac))
        / DHCP6OptElapsedTime()
        / DHCP6OptIA_NA(iaid=1, T1=0, T2=0)
        / DHCP6OptOptReq(reqopts=list(asked))
    )
    message = DHCP6_Solicit(trid=int.from_bytes(_transaction(guest)[:3])) / options
    ends = IPv6(src=str(eui64(guest.mac)), dst=str(ALL_DHCP6_SERVERS))
    ends /= UDP(sport=DHCP6_CLIENT, dport=DHCP6_SERVER)
    return bytes(Ether(src=guest.mac, dst=group_mac(ALL_DHCP6_SERVERS)) / ends / message)


_REQUESTS: dict[Family, Callable[[GuestNetwork], bytes]] = {4: discover, 6: solicit}
_OFFERS: dict[str, Family] = {"OFFER": 4, "ADVERTISE": 6}
