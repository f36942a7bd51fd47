"""Addresses, gateways, routes and prefixes of an annotation that cannot work together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Interface, IPv6Network

from binding.discover.annotation import DEFAULTS, PREFIX, Override, OverrideError
from guest.network import Address, IPInterface, Route


def check(
    network: str, change: Override, own: Collection[IPInterface], routes: Iterable[Route]
) -> None:
    """Refuse what the annotation gives and no network can use. Raises OverrideError.

    `own` and `routes` are the guest's, the pod's part included. What comes from the CNI alone
    is not judged: the pod works with it.
    """
    given = [("gateways", gateway) for gateway in change.gateways or ()]
    given += [("routes", r.gateway) for r in change.routes or () if r.gateway is not None]
    for key, gateway in given:
        if reason := _no_gateway(gateway, own):
            raise _error(network, key, f"{gateway} is {reason}; give the router's address")
    servers = [("dns", server) for server in change.dns or ()]
    servers += [("ntp", server) for server in change.ntp or () if not isinstance(server, str)]
    for key, server in servers:
        if reason := _edge(server, own):
            raise _error(network, key, f"{server} is {reason}; give the server's address")
    _check_routes(network, change, own)
    if change.addresses is not None:
        gateways = {route.gateway for route in routes}
        for address in own:
            if address.ip in gateways:
                raise _error(
                    network,
                    "addresses",
                    f"{address.ip} is the gateway's address; give the guest another, or another "
                    "one in gateways",
                )
    if change.delegate and (reason := _undelegable(change, change.delegate, own)):
        raise _error(network, "delegate", reason)


def _check_routes(network: str, change: Override, own: Collection[IPInterface]) -> None:
    for route in change.routes or ():
        if reason := _no_destination(route, own):
            raise _error(network, "routes", f"{route.destination} {reason}")
        given = any(one.version == route.destination.version for one in change.gateways or ())
        if route.destination.prefixlen == 0 and given:
            raise _error(
                network, "routes", f"{route.destination} is given by gateways, too; give it once"
            )


def _undelegable(
    change: Override, prefixes: Iterable[IPv6Network], own: Iterable[IPInterface]
) -> str:
    """Return why nobody would give the guest these prefixes, or no router could lead to them."""
    if change.provider in ("kube-ovn", "off"):
        return (
            f'with "provider": "{change.provider}" dsbridge answers no DHCPv6, and nobody '
            'delegates the prefix; leave delegate out, or write "provider": "in-pod"'
        )
    addresses = [address for address in own if isinstance(address, IPv6Interface)]
    if change.ipv6 == "off" or not addresses:
        return (
            "the guest has no IPv6 on this network, so no router can lead to it; leave delegate "
            'out, or give an address in addresses, and no "ipv6": "off"'
        )
    for prefix in prefixes:
        for address in addresses:
            if prefix.overlaps(address.network):
                return (
                    f"{prefix} overlaps the guest's own network {address.network}; give a prefix "
                    "that is routed to the guest, outside the network that it is on"
                )
    return ""


def _no_destination(route: Route, own: Iterable[IPInterface]) -> str:
    """Return why no guest can send to a destination by this route."""
    if route.gateway is None or route.destination.prefixlen < route.destination.max_prefixlen:
        return ""
    to = route.destination.network_address
    if any(to == address.ip for address in own):
        return "is the guest's own address; leave the route out"
    return (
        "is its own gateway; leave via out: the gateway is on the link"
        if to == route.gateway
        else ""
    )


def _no_gateway(gateway: Address, own: Iterable[IPInterface]) -> str:
    if any(gateway == address.ip for address in own):
        return "the guest's own address"
    return _edge(gateway, own)


def _edge(host: Address, own: Iterable[IPInterface]) -> str:
    """Say which address of the guest's own subnets, that no host has, this is."""
    for network in (address.network for address in own):
        if not isinstance(host, IPv4Address) or host not in network or network.prefixlen >= 31:
            continue
        if host == network.network_address:
            return f"the address of the subnet {network} itself"
        if host == network.broadcast_address:
            return f"the broadcast address of {network}"
    return ""


def _error(network: str, key: str, text: str) -> OverrideError:
    return OverrideError(f"annotation {PREFIX}{network} or {DEFAULTS}: {key}: {text}")
