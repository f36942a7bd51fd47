"""Refuses guests that contradict themselves or each other, before anything is touched. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.snapshot import Snapshot
from guest.ethernet import is_unicast
from guest.network import OUR_MAC, GuestNetwork

_SMALLEST_MTU, _SMALLEST_MTU_IPV6 = 68, 1280
"""Bytes (RFC 791, RFC 8200 section 5): with less a guest's kernel turns the family off."""


class Contradiction(Exception):  # noqa: N818  # named for what it is
    """The text names the network, what contradicts, and what to write instead."""


def refuse(guests: tuple[GuestNetwork, ...], snapshot: Snapshot) -> None:
    """Raise Contradiction for the first guest that cannot be."""
    taken: dict[str, str] = {}
    for guest in guests:
        for fault in _faults(guest, snapshot):
            raise Contradiction(f"network {guest.network}: {fault}")
        for link in (guest.tap, guest.nic):
            if link and taken.setdefault(link, guest.network) != guest.network:
                raise Contradiction(
                    f"network {guest.network}: link {link} is that of network {taken[link]}, too; "
                    "give each interface of the domain a tap of its own"
                )


def _faults(guest: GuestNetwork, snapshot: Snapshot) -> Iterator[str]:
    known = snapshot.link(guest.tap)
    is_bridge = guest.tap == guest.bridge or (known is not None and known.kind == "bridge")
    if guest.tap == "lo" or is_bridge:
        yield f"the domain's <target dev={guest.tap!r}> is no tap; name the tap of this interface"
    if guest.tap == guest.nic:
        yield f"the domain's <target dev={guest.tap!r}> is the pod's NIC; name the tap of it"
    if not is_unicast(guest.mac):
        yield f"{guest.mac} is no MAC of one host; set macAddress to a unicast one"
    if guest.mac == OUR_MAC:
        yield f"{guest.mac} is the MAC of dsbridge's own answers; set another macAddress"
    for gateway, lladdr in (*guest.gateway_lladdrs, *guest.permanent_neighbors):
        if guest.mac == lladdr:
            yield f"{guest.mac} is the MAC of the gateway {gateway}; set another macAddress"
    least = _SMALLEST_MTU_IPV6 if guest.is_served and guest.gets_ipv6 else _SMALLEST_MTU
    if guest.mtu < least:
        advice = ', or write "ipv6": "off" for it' if least == _SMALLEST_MTU_IPV6 else ""
        yield f"MTU {guest.mtu} is below {least}; raise the MTU of the pod's link{advice}"
