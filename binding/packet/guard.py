"""Exactly one DHCP server and router per guest: what must not pass which link. Pure.

The parent decides here, `binding.plumb guard` makes the kernel do it, at the ingress
hook of each link, before the bridge sees the frame. What is of interest to us is picked
out there, too: a packet socket on a port would cost each packet of the guest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from guest.network import Family, GuestNetwork

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
    "na",
    "arp",
    "arp-for-us",
]

# What the guest asks of us, who have seen it already; and what only we may answer.
_REQUESTS: dict[Family, tuple[Kind, ...]] = {
    4: ("dhcp4-to-server", "arp-for-us"),
    6: ("dhcp6-to-server", "rs", "ns-for-us"),
}
_ANSWERS: dict[Family, tuple[Kind, ...]] = {
    4: ("dhcp4-to-client",),
    6: ("dhcp6-to-client", "ra", "na-for-us"),
}
# What is listened for, whoever serves: requests, and who gateways and other servers are.
_HEARD_AT_TAP: tuple[Kind, ...] = (*_REQUESTS[4], *_REQUESTS[6])
_HEARD_AT_NIC: tuple[Kind, ...] = ("arp", "na", "ra", "dhcp4-to-client", "dhcp6-to-client")
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
    """What is dropped where it comes in from this link, and what is listened for."""

    link: str
    drop: tuple[Kind, ...] = ()
    hear: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """The whole guard of one sidecar; a pod may have several, one for each registration."""

    name: str
    filters: tuple[Filter, ...] = ()


def table_name(plugin: str | None) -> str:
    """Return the name that `nft list tables` shows, for the registered name of the plugin."""
    name = plugin or "dsbridge"
    # The kernel takes 255 bytes, a registration any number.
    return (name if name.startswith("dsbridge") else f"dsbridge-{name}")[:60]


def is_heard(guest: GuestNetwork) -> bool:
    """Whether this guest's frames are read at all; a NIC without IPAM is left alone."""
    has_address = bool(guest.ipv4 or guest.ipv6)
    return guest.provider == "kube-ovn" or (guest.provider != "off" and has_address)


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

    `served` are the families that we serve by network, where `auto` has decided. What is
    heard of a guest is the same as long as it is there: sockets rely on it.
    """
    dropped: dict[str, set[Kind]] = {}
    heard: dict[str, tuple[Kind, ...]] = {}

    def drop(link: str, *kinds: Kind) -> None:
        dropped.setdefault(link, set()).update(kinds)

    for guest in guests:
        if is_heard(guest):
            heard |= {guest.tap: _HEARD_AT_TAP, guest.nic: _HEARD_AT_NIC}
        for family in (served or {}).get(guest.network, served_by_us(guest)):
            drop(guest.tap, *_REQUESTS[family])
            drop(guest.nic, *_ANSWERS[family])
        if guest.shield and _somebody_serves(guest):
            drop(guest.tap, *_SERVER)
        if guest.shape == "takeover":
            # KubeVirt's own server listens on the bridge and must stay mute in any mode.
            drop(guest.bridge, "dhcp4-to-server")
    return tuple(
        Filter(link, tuple(sorted(dropped.get(link, ()))), heard.get(link, ()))
        for link in sorted(dropped.keys() | heard.keys())
        if link
    )


def _somebody_serves(guest: GuestNetwork) -> bool:
    return guest.provider != "off" and bool(guest.ipv4 or guest.ipv6)
