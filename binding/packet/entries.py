"""Addresses, routes and neighbours as rtnetlink lists them, and tells of their changes.

Numbers are those of linux/rtnetlink.h and linux/if_addr.h.
"""

import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from socket import AF_INET, AF_INET6
from typing import NamedTuple

from binding.packet.raw_netlink import (
    RTM_GETADDR,
    RTM_GETNEIGH,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWNEIGH,
    RTM_NEWROUTE,
    as_number,
    attributes,
    dump,
)
from guest.network import Address, IPInterface, IPNetwork

_ANY: dict[int, IPNetwork] = {AF_INET: IPv4Network("0.0.0.0/0"), AF_INET6: IPv6Network("::/0")}
_FAMILIES = tuple(bytes((family,)) for family in _ANY)
_ADDRESS = struct.Struct("=BBBBI")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_ROUTE = struct.Struct("=BBBBBBBBI")
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH = 1, 4, 5, 6, 9
_RTA_TABLE, _RTA_VIA = 15, 18
IFA_F_PERMANENT = 0x80
"""Flag of an address that was set; one that the kernel made of an RA lacks it."""
LINK_LOCAL = IPv6Network("fe80::/64")
"""The kernel's route; Calico's fe80::…/128 is a gateway's."""
RT_TABLE_MAIN, RT_TABLE_LOCAL, RTN_UNICAST = 254, 255, 1
NUD_LASTING = 0x80 | 0x40
"""PERMANENT, and NOARP: as lasting, and as little asked for."""
_HOP = struct.Struct("=HBBi")
_NEIGHBOR = struct.Struct("=BxxxiHBB")
_NDA_DST, _NDA_LLADDR = 1, 2


class AddressEntry(NamedTuple):
    """An address of a link."""

    family: int
    link: int
    """Its index."""
    scope: int
    flags: int
    """IFA_F_…."""
    interface: IPInterface
    """This host's address with the prefix that is on-link, which a peer's is not."""


class Hop(NamedTuple):
    """Where a route leads, or one of several."""

    link: int
    """Its index."""
    gateway: Address | None


class RouteEntry(NamedTuple):
    """A route of any table."""

    family: int
    table: int
    protocol: int
    kind: int
    """RTN_…."""
    metric: int
    destination: IPNetwork
    hops: tuple[Hop, ...]


class NeighborEntry(NamedTuple):
    """An entry of the neighbour table."""

    link: int
    """Its index."""
    state: int
    """NUD_…."""
    address: Address
    mac: str


class Tables(NamedTuple):
    """What the kernel lists, in its own messages."""

    addresses: list[bytes]
    routes: list[bytes]
    neighbors: list[bytes]

    def records(self) -> tuple[tuple[int, bytes], ...]:
        """Return all but the kernel's own entries, with the type of each message."""
        return (
            *((RTM_NEWADDR, one) for one in self.addresses),
            *((RTM_NEWROUTE, one) for one in self.routes if one[4] != RT_TABLE_LOCAL),
            *((RTM_NEWNEIGH, one) for one in self.neighbors if one[8] & NUD_LASTING),
        )


def read() -> Tables:
    """Read the three tables. Raises OSError."""
    return Tables(
        dump(RTM_GETADDR, bytes(_ADDRESS.size)),
        dump(RTM_GETROUTE, bytes(_ROUTE.size)),
        dump(RTM_GETNEIGH, bytes(_NEIGHBOR.size)),
    )


def addresses_of_links() -> dict[int, frozenset[Address]]:
    """Return the addresses of each link by its index. Raises OSError."""
    found: dict[int, set[Address]] = {}
    for one in addresses(dump(RTM_GETADDR, bytes(_ADDRESS.size))):
        found.setdefault(one.link, set()).add(one.interface.ip)
    return {index: frozenset(of_one) for index, of_one in found.items()}


def addresses(payloads: Iterable[bytes]) -> list[AddressEntry]:
    """Return the addresses of both families."""
    return [*filter(None, map(address, payloads))]


def address(payload: bytes) -> AddressEntry | None:
    """Return the address that a message of RTM_NEWADDR or RTM_DELADDR is about."""
    if payload[:1] not in _FAMILIES or len(payload) < _ADDRESS.size:
        return None
    family, length, flags, scope, index = _ADDRESS.unpack_from(payload)
    about = attributes(payload[_ADDRESS.size :])
    if _IFA_ADDRESS not in about:
        return None
    flags = as_number(about.get(_IFA_FLAGS, b"")) or flags
    # IFA_ADDRESS is the peer's where there is an IFA_LOCAL.
    prefix = ip_interface((about[_IFA_ADDRESS], length))
    local = ip_address(about.get(_IFA_LOCAL) or about[_IFA_ADDRESS])
    own = ip_interface((local, length if local in prefix.network else local.max_prefixlen))
    return AddressEntry(family, index, scope, flags, own)


def routes(payloads: Iterable[bytes]) -> list[RouteEntry]:
    """Return the routes of both families."""
    return [*filter(None, map(route, payloads))]


def route(payload: bytes) -> RouteEntry | None:
    """Return the route that a message of RTM_NEWROUTE or RTM_DELROUTE is about."""
    if payload[:1] not in _FAMILIES or len(payload) < _ROUTE.size:
        return None
    family, length, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(payload)
    about = attributes(payload[_ROUTE.size :])
    to = about.get(_RTA_DST)
    destination = ip_network((to, length)) if to else _ANY[family]
    hops = tuple(_hops(about.get(_RTA_MULTIPATH, b"")))
    if not hops:
        hops = (Hop(as_number(about.get(_RTA_OIF, b"")), _gateway(about)),)
    table = as_number(about.get(_RTA_TABLE, b"")) or table
    metric = as_number(about.get(_RTA_PRIORITY, b""))
    return RouteEntry(family, table, protocol, kind, metric, destination, hops)


def neighbors(payloads: Iterable[bytes]) -> list[NeighborEntry]:
    """Return the neighbours of both families whose MAC is known."""
    found = []
    for payload in payloads:
        family, index, state, _, _ = _NEIGHBOR.unpack_from(payload)
        about = attributes(payload[_NEIGHBOR.size :])
        to, mac = about.get(_NDA_DST), about.get(_NDA_LLADDR)
        if family in _ANY and to and mac:
            found.append(NeighborEntry(index, state, ip_address(to), mac.hex(":")))
    return found


def _hops(data: bytes) -> Iterator[Hop]:
    """Yield the hops of a multipath route (struct rtnexthop)."""
    while len(data) >= _HOP.size:
        length, _, _, index = _HOP.unpack_from(data)
        if not _HOP.size <= length <= len(data):
            return
        yield Hop(index, _gateway(attributes(data[_HOP.size : length])))
        data = data[(length + 3) & ~3 :]


def _gateway(about: dict[int, bytes]) -> Address | None:
    via = about.get(_RTA_VIA, b"")[2:]  # behind its family
    gateway = about.get(_RTA_GATEWAY) or via
    return ip_address(gateway) if gateway else None
