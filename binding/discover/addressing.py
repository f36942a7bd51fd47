"""Addresses and routes of a guest from those of its pod link."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
    ip_interface,
    ip_network,
)

from binding.discover.annotation import Override
from binding.discover.nic import is_ethernet
from binding.discover.reserved import within
from binding.ipc.snapshot import Link
from guest.network import Address, IPInterface, IPNetwork, Route

MOST_PERMANENT = 64
"""Permanent neighbours whose ARP and NS `serve` answers."""
_DEFAULTS: dict[int, IPNetwork] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}


def addresses(link: Link, override: Override) -> tuple[IPInterface, ...]:
    """Return the guest's addresses; their prefix is what is on-link for the guest."""
    if override.addresses is not None:
        return override.addresses
    return tuple(_narrowed(address, link.routes) for address in link.addresses)


def routes(link: Link, own: Collection[IPInterface], override: Override) -> tuple[Route, ...]:
    """Return the guest's routes, one per destination, gateways outside its subnets first.

    `own` are the guest's addresses; a family without one has no routes of the pod's.
    Connected subnets are left out, also the pod's where the guest has other addresses.
    """
    subnets = {address.network for address in own}
    families = {address.version for address in own}
    connected = subnets | {address.network for address in link.addresses}
    pod = [one for one in _wanted(link.routes, connected) if one.destination.version in families]
    kept = tuple(route for route in pod if _is_default(route))
    others = tuple(route for route in pod if not _is_default(route))
    # Of equal destinations the first counts: the annotation's before the pod's.
    found = (*_given(override), *(others if override.routes is None else ()), *kept)
    if override.default_route is False:
        found = tuple(route for route in found if not _is_default(route))
    found = _first_of_each(found)
    return _first_of_each((*_reaching(found, subnets), *found))


def reached(own: Iterable[IPInterface], known: Iterable[Route]) -> tuple[IPNetwork, ...]:
    """Return all networks that these addresses and routes of a guest lead to."""
    return (*(one.network for one in own), *(route.destination for route in known))


def to_servers(
    servers: Iterable[Address | str], own: Collection[IPInterface], known: Collection[Route]
) -> Iterator[Route]:
    """Yield a host route to each IPv4 server that a narrower route than a default one leads to.

    systemd-networkd adds one to each name and time server of a lease by itself, and takes the
    server to be on the link where the lease has no default route. Of the two routes the kernel uses
    the first, which is this one.
    """
    if any(route.destination == _DEFAULTS[4] for route in known):
        return
    subnets = [Route(address.network) for address in own]
    for server in dict.fromkeys(servers):
        if isinstance(server, IPv4Address):
            host = ip_network(server)
            leading = [one for one in (*subnets, *known) if within(host, one.destination)]
            narrowest = max(leading, key=lambda one: one.destination.prefixlen, default=None)
            if narrowest and narrowest.gateway and narrowest.destination != host:
                yield Route(host, narrowest.gateway)


def lladdrs(link: Link, guest_routes: Iterable[Route]) -> tuple[tuple[Address, str], ...]:
    """Return the MACs that the pod knew of the guest's gateways."""
    gateways = {route.gateway for route in guest_routes}
    return tuple((address, mac) for address, mac in link.neighbors if address in gateways)


def permanent(link: Link, own: Iterable[IPInterface]) -> tuple[tuple[Address, str], ...]:
    """Return the pod's permanent neighbours, gateways first, MOST_PERMANENT at most.

    Each of them costs a rule in the kernel.
    """
    mine = {address.ip for address in own}
    gateways = {route.gateway for route in link.routes}
    found = [
        (address, mac.lower())
        for address, mac in link.permanent
        if address not in mine and not address.is_multicast and is_ethernet(mac)
    ]
    return tuple(sorted(found, key=lambda one: one[0] not in gateways))[:MOST_PERMANENT]


def deprecated(before: Iterable[Address], own: Iterable[IPv6Interface]) -> tuple[IPv6Network, ...]:
    """Return the /64s of the addresses that a guest had before and has no more.

    At most eight: the guest's agent is asked for its addresses, and it may lie.
    """
    kept = [address.ip for address in own]
    found: dict[IPv6Network, None] = {}
    for address in before:
        if address.version == 4 or not _global(address):
            continue
        prefix = IPv6Network((int(address), 64), strict=False)
        if not any(ip in prefix for ip in kept):
            found[prefix] = None
    return tuple(found)[:8]


def _global(address: Address) -> bool:
    return not (address.is_link_local or address.is_multicast or address.is_loopback)


def _narrowed(address: IPInterface, known: Iterable[Route]) -> IPInterface:
    """Return a host address where the pod reaches its subnet through a gateway (kindnet)."""
    family = [route for route in known if route.destination.version == address.version]
    on_link = [route.destination for route in family if route.gateway is None]
    if not family or any(within(address.network, destination) for destination in on_link):
        return address
    return ip_interface(address.ip)


def _wanted(known: Iterable[Route], subnets: Iterable[IPNetwork]) -> tuple[Route, ...]:
    connected = set(subnets)
    return tuple(
        route
        for route in known
        if not (route.gateway is None and route.destination in connected)
        and not (route.destination.version == 6 and route.destination.is_link_local)
    )


def _first_of_each(known: Iterable[Route]) -> tuple[Route, ...]:
    unique: dict[IPNetwork, Route] = {}
    for route in known:
        unique.setdefault(route.destination, route)
    return tuple(unique.values())


def _is_default(route: Route) -> bool:
    return route.destination == _DEFAULTS[route.destination.version]


def _given(override: Override) -> tuple[Route, ...]:
    gateways = (Route(_DEFAULTS[one.version], one) for one in override.gateways or ())
    return (*gateways, *(override.routes or ()))


def _reaching(known: Iterable[Route], subnets: Iterable[IPNetwork]) -> Iterable[Route]:
    """Yield a host route for every IPv4 gateway that no on-link route reaches.

    The pod's route has the flag `onlink`, which no DHCP option can express.
    """
    on_link = [*subnets, *(route.destination for route in known if route.gateway is None)]
    for route in known:
        gateway = route.gateway
        if gateway is not None and gateway.version == 4:
            host = ip_network(gateway)
            if Route(host) in known or not any(within(host, network) for network in on_link):
                yield Route(host)
