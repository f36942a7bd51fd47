"""The pod's own link: remembered before wiring changes it, and restored to what the CNI made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from errno import EADDRNOTAVAIL, EEXIST
from functools import partial
from socket import AF_INET, AF_INET6

from binding.ipc.wiring import Wiring
from binding.packet.entries import NUD_LASTING, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTN_UNICAST
from binding.packet.link_table import IFF_UP
from binding.packet.raw_netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
    RTM_DELADDR,
    RTM_DELROUTE,
    RTM_NEWADDR,
    RTM_NEWNEIGH,
    RTM_NEWROUTE,
)
from binding.plumb.device_conf import (
    ADDRESSES_EUI64,
    address_generation,
    arp_ignored,
    generate_addresses,
    ignore_arp,
)
from binding.plumb.netlink import (
    IPRoute,
    NetlinkError,
    NetlinkMessage,
    dump,
    ifaddrmsg,
    ndmsg,
    out,
    read,
    request,
    rtmsg,
)
from guest.ethernet import is_group
from guest.network import IPInterface, Route

Change = Callable[[], object]
Dump = Collection[NetlinkMessage]

_REQUEST = NLM_F_REQUEST | NLM_F_ACK
CREATE = _REQUEST | NLM_F_CREATE
_REPLACE = _REQUEST | NLM_F_REPLACE
_EXCLUSIVE = CREATE | NLM_F_EXCL
NODAD, _NOPREFIXROUTE = 0x02, 0x200
_SET_BY_KERNEL = 0x01 | 0x08 | 0x20 | 0x40 | 0x80
"""Secondary or temporary, DAD failed, deprecated, tentative, permanent."""
_SCOPE_LINK = 253
_STATIC = 4
_ONLINK = 0x04


@dataclass(frozen=True, slots=True)
class PodLink:
    """A link as the CNI made it, in the kernel's own messages, for restore()."""

    index: int
    name: str
    mac: str
    up: bool
    addresses: tuple[NetlinkMessage, ...]
    routes: tuple[NetlinkMessage, ...]
    address_generation: int = ADDRESSES_EUI64
    """IFLA_INET6_ADDR_GEN_MODE."""
    arp_ignore: int = 0
    exact: bool = True
    """Whether `routes` is complete, so that any other route must be deleted again."""
    neighbors: tuple[NetlinkMessage, ...] = ()
    """Permanent and NOARP entries: so AWS VPC CNI and Azure CNI give the pod its gateway's MAC."""


def remember(ipr: IPRoute, link: NetlinkMessage) -> PodLink:
    """Remember a link that is still as the CNI made it."""
    of_link = PodLink(
        index=link["index"],
        name=link.get("ifname"),
        mac=link.get("address"),
        up=bool(link["flags"] & IFF_UP),
        addresses=(),
        routes=(),
        address_generation=address_generation(link),
        arp_ignore=arp_ignored(link),
    )
    return _with(of_link, dump(ipr.addr), dump(ipr.route), dump(ipr.neigh))


def _with(pod: PodLink, addresses: Dump, routes: Dump, neighbors: Dump) -> PodLink:
    """Return a link with what is its own of all that the kernel lists."""
    lasting = (one for one in neighbors if one["state"] & NUD_LASTING and _is_station(one))
    return replace(
        pod,
        addresses=_as_added([one for one in addresses if one["index"] == pod.index]),
        routes=_routes(routes, pod.index),
        neighbors=tuple(one for one in lasting if one["ifindex"] == pod.index),
    )


def _is_station(neighbor: NetlinkMessage) -> bool:
    """Say whether an entry is not one of the kernel's own, which are of multicast groups."""
    mac = neighbor.get("lladdr")
    return bool(mac) and not is_group(mac)


def _as_added(addresses: Collection[NetlinkMessage]) -> tuple[NetlinkMessage, ...]:
    """Put a dump into the order in which the addresses were added: IPv6's come newest first."""
    ipv6 = [one for one in addresses if one["family"] == AF_INET6]
    return (*(one for one in addresses if one["family"] != AF_INET6), *reversed(ipv6))


def recall(link: NetlinkMessage, wiring: Wiring) -> PodLink:
    """Rebuild, from the snapshot, what an interrupted wiring has already taken off the link."""
    pod = PodLink(link["index"], wiring.names.pod, wiring.mac, up=True, addresses=(), routes=())
    kinds = (RTM_NEWADDR, ifaddrmsg), (RTM_NEWROUTE, rtmsg), (RTM_NEWNEIGH, ndmsg)
    dumps = ([read(of, one) for sort, one in wiring.records if sort == kind] for kind, of in kinds)
    recorded = _with(pod, *dumps)
    if recorded.addresses or recorded.routes:
        return recorded
    # The link has been plugged in since. The snapshot's routes have the connected subnets.
    flags = _NOPREFIXROUTE if wiring.routes else 0
    return replace(
        pod,
        addresses=tuple(address_message(link["index"], one, flags) for one in wiring.addresses),
        routes=tuple(_route_message(link["index"], one) for one in wiring.routes),
        exact=False,
    )


def restore(ipr: IPRoute, pod: PodLink) -> None:
    """Give the link back its name, MAC, addresses, state, routes and neighbours.

    From any state that the link may be in. All changes are tried; the first error is raised after
    the last one.
    """
    errors = [error for change in _changes(ipr, pod) if (error := _failure(change))]
    wanted = {_identity(route) for route in pod.routes}
    for route in _routes(dump(ipr.route), pod.index):
        # Else the kernel made it, and the CNI has deleted it.
        if pod.exact and _identity(route) not in wanted:
            _failure(partial(request, ipr, route, RTM_DELROUTE, _REQUEST))
    missing = [partial(request, ipr, one, RTM_NEWROUTE, _EXCLUSIVE) for one in pod.routes]
    while missing:  # a gateway's host route must be there first: repeat while one succeeds
        failed = [route for route in missing if _failure(route)]
        if len(failed) == len(missing):
            errors += [error for route in failed if (error := _failure(route))]
            break
        missing = failed
    if errors:
        raise errors[0]


def flush(ipr: IPRoute, index: int) -> None:
    """Take every address off a link."""
    for message in dump(ipr.addr):
        if message["index"] != index:
            continue
        try:
            request(ipr, _again(message, "IFA_CACHEINFO"), RTM_DELADDR, _REQUEST)
        except NetlinkError as error:
            # Else the kernel has removed it with the primary address of its subnet.
            if error.code != EADDRNOTAVAIL:
                raise


def address_message(index: int, address: IPInterface, flags: int = 0) -> NetlinkMessage:
    """Return what RTM_NEWADDR needs to put an address on a link."""
    message = ifaddrmsg()
    message["family"] = AF_INET if address.version == 4 else AF_INET6
    message["index"], message["prefixlen"] = index, address.network.prefixlen
    message["attrs"] = [
        ("IFA_ADDRESS", str(address.ip)),
        ("IFA_LOCAL", str(address.ip)),
        ("IFA_FLAGS", flags),
    ]
    return message


def _changes(ipr: IPRoute, pod: PodLink) -> Iterator[Change]:
    change = partial(ipr.link, "set", index=pod.index)
    yield partial(change, master=0)
    yield partial(change, state="down")
    yield partial(flush, ipr, pod.index)  # the renamed link's addresses have other labels
    yield partial(change, ifname=pod.name)
    yield partial(change, address=pod.mac)
    yield partial(generate_addresses, ipr, pod.index, pod.address_generation)
    yield partial(ignore_arp, ipr, pod.index, pod.arp_ignore)
    # IPv6 addresses that are added while the link is down, without DAD, are usable at once.
    for message in pod.addresses:
        yield partial(request, ipr, _address(message, NODAD), RTM_NEWADDR, _EXCLUSIVE)
    if pod.up:
        yield partial(change, state="up")
    for message in pod.addresses:
        if message["family"] == AF_INET6:
            yield partial(request, ipr, _address(message), RTM_NEWADDR, _REPLACE)
    for message in pod.neighbors:
        neighbor = _again(message, "NDA_CACHEINFO", "NDA_PROBES")
        yield partial(request, ipr, neighbor, RTM_NEWNEIGH, CREATE)


def _failure(change: Change) -> NetlinkError | None:
    try:
        change()
    except NetlinkError as error:
        return error if error.code != EEXIST else None
    return None


def _again(message: NetlinkMessage, *without: str) -> NetlinkMessage:
    """Make the request that creates what a dump has listed."""
    request = type(message)()
    for field, *_ in type(message).fields:
        request[field] = message[field]
    request["attrs"] = [(name, value) for name, value in message["attrs"] if name not in without]
    return request


def _address(message: NetlinkMessage, more: int = 0) -> NetlinkMessage:
    request = _again(message, "IFA_FLAGS", "IFA_CACHEINFO")
    flags = (message.get("IFA_FLAGS") or 0) & ~_SET_BY_KERNEL | more
    request["flags"] = 0
    request["attrs"] = [*request["attrs"], ("IFA_FLAGS", flags)]
    return request


def _routes(listed: Dump, index: int) -> tuple[NetlinkMessage, ...]:
    found = []
    for message in listed:
        if message["family"] not in (AF_INET, AF_INET6) or message["table"] == RT_TABLE_LOCAL:
            continue
        hops = message.get("multipath") or (message,)
        if any(out(hop) == index for hop in hops):
            route = _again(message, "RTA_CACHEINFO")
            route["flags"] &= _ONLINK
            found.append(route)
    return tuple(found)


def _identity(route: NetlinkMessage) -> tuple[object, ...]:
    attributes = ("table", "dst", "priority", "gateway", "prefsrc")
    return (route["family"], route["dst_len"], *(route.get(one) for one in attributes))


def _route_message(index: int, route: Route) -> NetlinkMessage:
    message = rtmsg()
    message["family"] = AF_INET if route.destination.version == 4 else AF_INET6
    message["table"], message["proto"], message["type"] = RT_TABLE_MAIN, _STATIC, RTN_UNICAST
    message["dst_len"] = route.destination.prefixlen
    message["scope"] = _SCOPE_LINK if route.gateway is None else 0
    message["attrs"] = [("RTA_OIF", index)]
    if route.destination.prefixlen:
        message["attrs"].append(("RTA_DST", str(route.destination.network_address)))
    if route.gateway is not None:
        message["flags"] = _ONLINK
        message["attrs"].append(_hop(route))
    return message


def _hop(route: Route) -> tuple[str, object]:
    if route.gateway is not None and route.gateway.version != route.destination.version:
        return "RTA_VIA", {"family": AF_INET6, "addr": str(route.gateway)}
    return "RTA_GATEWAY", str(route.gateway)
