"""Reads the current network namespace into the values of binding.ipc.snapshot.

Reading needs no privilege. A node without IPv6, a missing resolv.conf or a missing attribute is
no error: the snapshot then lacks it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from socket import AF_INET, AF_INET6

from binding.discover import resolv_conf
from binding.ipc.snapshot import Link, Snapshot
from binding.packet import entries, link_table
from binding.packet.entries import IFA_F_PERMANENT, AddressEntry, NeighborEntry, RouteEntry
from binding.packet.raw_netlink import RTPROT_KERNEL, RTPROT_RA
from binding.process.shortage import passes
from guest.ethernet import is_group
from guest.network import Address, IPInterface, Route

_SCOPE_GLOBAL = 0
_DAD_FAILED = 0x08
_RESOLVED = 0x02 | 0x04 | 0x08 | 0x10 | entries.NUD_LASTING  # REACHABLE, STALE, DELAY, PROBE


def take(resolver: str = "/etc/resolv.conf") -> Snapshot:
    """Read all links with their addresses, routes and neighbours, and the resolver.

    Raises OSError.
    """
    tables = entries.read()
    links = _links(tables)
    try:
        with open(resolver, errors="replace") as file:
            text = file.read()
    except OSError as error:
        if passes(error):  # else the guest would be told no name server, for good
            raise
        text = ""
    nameservers, search = resolv_conf.parse(text)
    netns = os.stat("/proc/self/ns/net").st_ino
    return Snapshot(netns, links, nameservers, search, tables.records())


def _links(tables: entries.Tables) -> tuple[Link, ...]:
    links = link_table.read().values()
    names = {link.index: link.name for link in links}
    addresses = entries.addresses(tables.addresses)
    neighbors = entries.neighbors(tables.neighbors)
    routes = tuple(_of_cni(entries.routes(tables.routes), addresses))
    own = frozenset(one.interface.ip for one in addresses)
    return tuple(
        Link(
            name=link.name,
            index=link.index,
            mac=link.mac,
            mtu=link.mtu,
            kind=link.kind,
            up=link.up,
            bridge=names.get(link.master, ""),
            addresses=_addresses(addresses, link.index),
            routes=_routes(routes, link.index, own),
            neighbors=_neighbors(neighbors, link.index, _RESOLVED),
            permanent=_neighbors(neighbors, link.index, entries.NUD_LASTING),
        )
        for link in sorted(links, key=lambda link: link.index)
    )


def _addresses(addresses: Iterable[AddressEntry], index: int) -> tuple[IPInterface, ...]:
    found = [
        one
        for one in addresses
        if one.link == index
        and one.scope == _SCOPE_GLOBAL
        and one.flags & (_DAD_FAILED | IFA_F_PERMANENT) == IFA_F_PERMANENT
    ]
    # The kernel lists the IPv4 addresses of a link as they were added, those of IPv6 the newest
    # first; the CNI adds them in the order of its result.
    ipv4 = [one.interface for one in found if one.family == AF_INET]
    ipv6 = [one.interface for one in found if one.family == AF_INET6]
    return (*ipv4, *reversed(ipv6))


def _of_cni(
    routes: Iterable[RouteEntry], addresses: Iterable[AddressEntry]
) -> Iterator[RouteEntry]:
    """Yield the routes that the CNI made: all but those of router advertisements."""
    learned = {
        (one.link, one.interface.network)
        for one in addresses
        if one.family == AF_INET6 and not one.flags & IFA_F_PERMANENT
    }
    for route in routes:
        if route.family == AF_INET6:
            by, link = route.protocol, route.hops[0].link
            if by == RTPROT_RA or (by == RTPROT_KERNEL and (link, route.destination) in learned):
                continue
        yield route


def _routes(routes: Iterable[RouteEntry], index: int, own: frozenset[Address]) -> tuple[Route, ...]:
    found: list[tuple[int, Route]] = []
    for route in routes:
        if route.kind != entries.RTN_UNICAST or route.table != entries.RT_TABLE_MAIN:
            continue
        hop = next((hop for hop in route.hops if hop.link == index), None)
        destination = route.destination
        if hop is None or destination.is_multicast or destination == entries.LINK_LOCAL:
            continue
        if destination.prefixlen == destination.max_prefixlen and destination[0] in own:
            continue  # the kernel's own /128 of a local address
        found.append((route.metric, Route(destination, hop.gateway)))
    # Of equal metrics the most specific first: the kernel's order of IPv6 routes is arbitrary.
    found.sort(key=lambda pair: (pair[0], -pair[1].destination.prefixlen))
    return tuple(route for _, route in found)


def _neighbors(
    neighbors: Iterable[NeighborEntry], index: int, states: int
) -> tuple[tuple[Address, str], ...]:
    return tuple(
        (one.address, one.mac)
        for one in neighbors
        # The kernel makes NOARP entries for groups and broadcast.
        if one.link == index and one.state & states and not is_group(one.mac)
    )
