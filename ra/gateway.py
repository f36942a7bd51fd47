"""Which IPv6 router the guest is told, and which gateway of the pod it stands for. Pure.

A guest takes the RA's link-local source address as its router, but most CNIs give the pod a
global gateway. So, in this order: the pod's gateway if it is link-local; the EUI-64 link-local
address of the gateway's MAC if the gateway answers for it; else OUR_LINK_LOCAL at that MAC.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Literal

from guest.ethernet import mac_bytes
from guest.network import OUR_LINK_LOCAL, GuestNetwork
from ra.resolve import Neighbor


@dataclass(frozen=True, slots=True)
class Router:
    """The router as the guest sees it."""

    address: IPv6Address
    lladdr: str | None
    source: Literal["pod", "eui64", "virtual"]


def has_default(guest: GuestNetwork) -> bool:
    """Say whether the guest gets an IPv6 default router at all."""
    return guest.gets_ipv6 and guest.default6 is not None and guest.default6.gateway is not None


def eui64(mac: str) -> IPv6Address:
    """Return the link-local address that a MAC gives (RFC 4291 appendix A)."""
    octets = mac_bytes(mac)
    return IPv6Address(
        b"\xfe\x80".ljust(8, b"\0")
        + bytes([octets[0] ^ 2])
        + octets[1:3]
        + b"\xff\xfe"
        + octets[3:]
    )


def may_be_eui64(guest: GuestNetwork) -> bool:
    """Say whether the gateway is worth asking for its EUI-64 address."""
    gateway = guest.gateway6
    return has_default(guest) and gateway is not None and not gateway.is_link_local


def decide(guest: GuestNetwork, gateway: Neighbor | None, probe: Neighbor | None) -> Router:
    """Return the router, from what is known of the gateway and of its EUI-64 address."""
    if gateway is None:
        return Router(OUR_LINK_LOCAL, None, "virtual")
    if has_default(guest) and gateway.address.is_link_local:
        return Router(IPv6Address(gateway.address), gateway.lladdr, "pod")
    if probe is not None and probe.lladdr is not None:
        return Router(IPv6Address(probe.address), probe.lladdr, "eui64")
    return Router(OUR_LINK_LOCAL, gateway.lladdr, "virtual")
