"""Exactly one DHCP server and router per guest: what must not pass which link. Pure.

The parent decides here, `binding.plumb guard` makes the kernel do it, at the ingress
hook of each link: after our packet sockets have seen the frame, before the bridge has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from binding.guest import Family, GuestNetwork

Kind = Literal[
    "dhcp4-to-server",
    "dhcp4-to-client",
    "dhcp4-from-server",
    "dhcp6-to-server",
    "dhcp6-to-client",
    "dhcp6-from-server",
    "rs",
    "ra",
    "ns-for-us",
    "na-for-us",
]

# What the guest asks of us, who have seen it already; and what only we may answer.
_REQUESTS: dict[Family, tuple[Kind, ...]] = {
    4: ("dhcp4-to-server",),
    6: ("dhcp6-to-server", "rs", "ns-for-us"),
}
_ANSWERS: dict[Family, tuple[Kind, ...]] = {
    4: ("dhcp4-to-client",),
    6: ("dhcp6-to-client", "ra", "na-for-us"),
}
# RA guard (RFC 6105) and DHCP shield (RFC 7610). Servers also talk to relays, hence the source.
_SERVER: tuple[Kind, ...] = (
    "dhcp4-to-client",
    "dhcp4-from-server",
    "dhcp6-to-client",
    "dhcp6-from-server",
    "ra",
)


@dataclass(frozen=True, slots=True)
class Filter:
    """What is dropped where it comes in from this link."""

    link: str
    drop: tuple[Kind, ...]


def served_by_us(guest: GuestNetwork) -> frozenset[Family]:
    """Return the families in which nobody but us may answer; `auto` is not decided yet.

    Both even for a pod of one family: a rogue RA in an IPv4-only cluster is the classic
    (CVE-2020-10749). A NIC without IPAM is not ours: an external server serves it.
    """
    ours = guest.provider == "in-pod" and (guest.ipv4 or guest.ipv6)
    return frozenset((4, 6)) if ours else frozenset()


def filters(
    guests: Collection[GuestNetwork],
    served: Mapping[str, frozenset[Family]] | None = None,
) -> tuple[Filter, ...]:
    """Return the whole guard of a pod, the same for the same guests.

    `served` are the families that we serve by network, where `auto` has decided.
    """
    found: dict[str, set[Kind]] = {}

    def drop(link: str, *kinds: Kind) -> None:
        if link:
            found.setdefault(link, set()).update(kinds)

    for guest in guests:
        for family in (served or {}).get(guest.network, served_by_us(guest)):
            drop(guest.tap, *_REQUESTS[family])
            drop(guest.nic, *_ANSWERS[family])
        if guest.shield and _somebody_serves(guest):
            drop(guest.tap, *_SERVER)
        if guest.shape == "takeover":
            # KubeVirt's own server listens on the bridge and must stay mute in any mode.
            drop(guest.bridge, "dhcp4-to-server")
    return tuple(Filter(link, tuple(sorted(kinds))) for link, kinds in sorted(found.items()))


def _somebody_serves(guest: GuestNetwork) -> bool:
    return guest.provider != "off" and bool(guest.ipv4 or guest.ipv6)
