"""What the answer to a solicitation depends on: requests of equal meaning. Pure.

ra.guest_input answers; a key says which of its answers may be given again.
"""

from __future__ import annotations

from typing import NamedTuple

from guest.ethernet import ICMPV6, NEIGHBOR_SOLICITATION, ROUTER_SOLICITATION
from guest.frame import Packet
from guest.network import Address, GuestNetwork
from ra.message import UNSPECIFIED
from ra.neighbor import ns_target, rs_fault


class Key(NamedTuple):
    """A valid solicitation of the guest itself."""

    kind: int
    """ROUTER_SOLICITATION or NEIGHBOR_SOLICITATION."""
    src: Address
    target: Address | None
    """The address that an NS asks for; None in an RS."""


def question(packet: Packet, guest: GuestNetwork) -> Key | None:
    """Return the key of an RS or NS; None where its answer is not for this guest alone."""
    if packet.protocol != ICMPV6 or packet.src_mac != guest.mac or packet.src == UNSPECIFIED:
        return None
    kind = packet.payload[0]
    if kind == ROUTER_SOLICITATION and not rs_fault(packet):
        return Key(kind, packet.src, None)
    if kind == NEIGHBOR_SOLICITATION and (target := ns_target(packet)) is not None:
        return Key(kind, packet.src, target)
    return None
