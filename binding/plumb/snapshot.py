"""Reads the current network namespace into the values of binding.ipc.snapshot.

Reading needs no privilege. A node without IPv6, a missing resolv.conf or a missing attribute is
no error: the snapshot then lacks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import (
    IPv4Network,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from pathlib import Path
from socket import AF_INET, AF_INET6

from binding.ipc.snapshot import Link, Snapshot
from binding.packet.link_table import IFF_UP
from binding.plumb import resolv_conf
from binding.plumb.netlink import IPRoute, NetlinkMessage, connect, dump, out
from guest.network import Address, IPInterface, IPNetwork, Route

_ANY: dict[int, IPNetwork] = {AF_INET: IPv4Network("0.0.0.0/0"), AF_INET6: IPv6Network("::/0")}

_LINK_LOCAL = IPv6Network("fe80::/64")  # the kernel's route; Calico's fe80::…/128 is a gateway's

_SCOPE_GLOBAL = 0
_DAD_FAILED = 0x08
_PERMANENT = 0x80  # IFA_F_PERMANENT; an address that a router advertised lacks it
_BY_KERNEL, _BY_RA = 2, 9
_MAIN_TABLE = 254
_UNICAST = 1
_PERMANENT_NEIGHBOR = 0x80
_RESOLVED = 0x02 | 0x04 | 0x08 | 0x10 | _PERMANENT_NEIGHBOR  # REACHABLE, STALE, DELAY, PROBE


def take(resolver: Path) -> Snapshot:
    """Read all links with their addresses, routes and neighbours, and the resolver."""
    with connect() as ipr:
        links = _links(ipr)
    try:
        text = resolver.read_text(errors="replace")
    except OSError:
        text = ""
    nameservers, search = resolv_conf.parse(text)
    return Snapshot(Path("/proc/self/ns/net").stat().st_ino, links, nameservers, search)


def _links(ipr: IPRoute) -> tuple[Link, ...]:
    links = dump(ipr.link)
    names = {link["index"]: link.get("ifname") for link in links}
    addresses, neighbors = dump(ipr.addr), dump(ipr.neigh)
    routes, own = tuple(_of_cni(dump(ipr.route), addresses)), _own(addresses)
    return tuple(
        Link(
            name=link.get("ifname"),
            index=link["index"],
            mac=link.get("address") or "",
            mtu=link.get("mtu"),
            kind=link.get(("linkinfo", "kind")) or "",
            up=bool(link["flags"] & IFF_UP),
            bridge=names.get(link.get("master"), ""),
            addresses=_addresses(addresses, link["index"]),
            routes=_routes(routes, link["index"], own),
            neighbors=_neighbors(neighbors, link["index"], _RESOLVED),
            permanent=_neighbors(neighbors, link["index"], _PERMANENT_NEIGHBOR),
        )
        for link in sorted(links, key=lambda link: int(link["index"]))
    )


def _addresses(messages: Iterable[NetlinkMessage], index: int) -> tuple[IPInterface, ...]:
    found = [
        message
        for message in messages
        if message["index"] == index
        and message["family"] in _ANY
        and message["scope"] == _SCOPE_GLOBAL
        and not (message.get("flags") or 0) & _DAD_FAILED
        and _is_permanent(message)
    ]
    # The kernel lists the IPv4 addresses of a link as they were added, those of IPv6 the newest
    # first; the CNI adds them in the order of its result.
    ipv4 = [message for message in found if message["family"] == AF_INET]
    ipv6 = [message for message in found if message["family"] == AF_INET6]
    return tuple(_interface(message) for message in (*ipv4, *reversed(ipv6)))


def _is_permanent(address: NetlinkMessage) -> bool:
    return bool((address.get("flags") or 0) & _PERMANENT)


def _of_cni(
    routes: Iterable[NetlinkMessage], addresses: Iterable[NetlinkMessage]
) -> Iterator[NetlinkMessage]:
    """Yield the routes that the CNI made: all but those of router advertisements."""
    learned = {
        (address["index"], _interface(address).network)
        for address in addresses
        if address["family"] == AF_INET6 and not _is_permanent(address)
    }
    for route in routes:
        if route["family"] == AF_INET6:
            by, link = route["proto"], out(route)
            if by == _BY_RA or (by == _BY_KERNEL and (link, _destination(route)) in learned):
                continue
        yield route


def _interface(message: NetlinkMessage) -> IPInterface:
    """Return the pod's address: IFA_LOCAL where there is one; IFA_ADDRESS is the peer's then."""
    prefix = ip_interface(f"{message.get('address')}/{message['prefixlen']}")
    local = ip_address(message.get("local") or message.get("address"))
    length = message["prefixlen"] if local in prefix.network else local.max_prefixlen
    return ip_interface(f"{local}/{length}")


def _own(messages: Iterable[NetlinkMessage]) -> frozenset[Address]:
    return frozenset(_interface(m).ip for m in messages if m["family"] in _ANY)


def _routes(
    messages: Iterable[NetlinkMessage], index: int, own: frozenset[Address]
) -> tuple[Route, ...]:
    found: list[tuple[int, Route]] = []
    for message in messages:
        if message["family"] not in _ANY or message["type"] != _UNICAST:
            continue
        if (message.get("table") or message["table"]) != _MAIN_TABLE:
            continue
        hops = message.get("multipath") or (message,)
        hop = next((hop for hop in hops if out(hop) == index), None)
        destination = _destination(message)
        if hop is None or destination.is_multicast or destination == _LINK_LOCAL:
            continue
        if destination.prefixlen == destination.max_prefixlen and destination[0] in own:
            continue  # the kernel's own /128 of a local address
        found.append((message.get("priority") or 0, Route(destination, _gateway(hop))))
    # Of equal metrics the most specific first: the kernel's order of IPv6 routes is arbitrary.
    found.sort(key=lambda pair: (pair[0], -pair[1].destination.prefixlen))
    return tuple(route for _, route in found)


def _destination(message: NetlinkMessage) -> IPNetwork:
    if not message.get("dst"):
        return _ANY[message["family"]]
    return ip_network(f"{message.get('dst')}/{message['dst_len']}")


def _gateway(hop: NetlinkMessage) -> Address | None:
    via = hop.get("via")
    gateway = hop.get("gateway") or (via["addr"] if via else None)
    return ip_address(gateway) if gateway else None


def _neighbors(
    messages: Iterable[NetlinkMessage], index: int, states: int
) -> tuple[tuple[Address, str], ...]:
    return tuple(
        (ip_address(message.get("dst")), message.get("lladdr"))
        for message in messages
        if message["ifindex"] == index
        and message["family"] in _ANY
        and message["state"] & states
        and message.get("dst")
        and message.get("lladdr")
    )
