"""cloud-init's network config with a NIC's addresses, for a guest without a DHCP client. Pure.

Such a guest has what is written here and nothing else: it learns of no change, and takes no router
advertisement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Network, ip_network
from typing import Any

from guest.network import Address, GuestNetwork, IPInterface, Route

_DEFAULT6 = IPv6Network("::/0")
_NO_GATEWAY = {4: "0.0.0.0", 6: "::"}  # noqa: S104  # no address to bind to: on-link
"""The gateway of an on-link host route: cloud-init's renderers write no route without a gateway,
and the network services that they write for take this address for none."""


def is_static(guest: GuestNetwork) -> bool:
    """Say whether cloud-init gets this NIC's addresses."""
    return guest.cloud_init != "dhcp" and guest.is_served and bool(_addresses(guest))


def version2(guest: GuestNetwork) -> dict[str, Any]:
    """Return what an entry of `ethernets` says of its NIC, besides which one it is."""
    routes = [
        {
            "to": str(route.destination),
            "via": str(route.gateway or _NO_GATEWAY[route.destination.version]),
            **({"on-link": True} if _needs_on_link(guest, route.gateway) else {}),
        }
        for route in _halved(_routes(guest))
    ]
    resolver = {"addresses": [str(one) for one in guest.dns], "search": list(guest.search)}
    return {
        "dhcp4": False,
        "dhcp6": False,
        "accept-ra": False,
        "mtu": guest.mtu,
        "addresses": [str(address) for address in _addresses(guest)],
        **({"routes": routes} if routes else {}),
        **({"nameservers": resolver} if guest.dns or guest.search else {}),
    }


def _halved(routes: Iterable[Route]) -> Iterator[Route]:
    """Yield the routes, and behind the IPv6 default route its two halves.

    All renderers of cloud-init 22.4 but netplan's take ::/0 for a network without a prefix length,
    and write ::/64.
    """
    for route in routes:
        yield route
        if route.destination == _DEFAULT6:
            yield from (Route(half, route.gateway) for half in _DEFAULT6.subnets())


def version1(guest: GuestNetwork) -> dict[str, Any]:
    """Return what an entry of `config` says of its NIC, besides which one it is.

    Of several addresses of a family the first has its routes and name servers.
    """
    subnets: list[dict[str, Any]] = []
    families: set[int] = set()
    for address in _addresses(guest):
        kind = "static" if address.version == 4 else "static6"
        subnet: dict[str, Any] = {"type": kind, "address": str(address)}
        if address.version not in families:
            families.add(address.version)
            subnet |= _of_family(guest, address.version)
        subnets.append(subnet)
    # The guest's resolver has one search list, and asks servers of either family.
    others = [str(one) for one in guest.dns if one.version not in families]
    if others:
        subnets[0].setdefault("dns_nameservers", []).extend(others)
    if guest.search:
        subnets[0]["dns_search"] = list(guest.search)
    return {"mtu": guest.mtu, "accept-ra": False, "subnets": subnets}


def _of_family(guest: GuestNetwork, family: int) -> dict[str, Any]:
    routes = [route for route in _routes(guest) if route.destination.version == family]
    default = next((str(one.gateway) for one in routes if not one.destination.prefixlen), "")
    others = [
        {
            "network": str(route.destination.network_address),
            "prefix": route.destination.prefixlen,
            "gateway": str(route.gateway or _NO_GATEWAY[family]),
        }
        for route in routes
        if route.destination.prefixlen
    ]
    servers = [str(one) for one in guest.dns if one.version == family]
    return {
        **({"gateway": default} if default else {}),
        **({"routes": others} if others else {}),
        **({"dns_nameservers": servers} if servers else {}),
    }


def _addresses(guest: GuestNetwork) -> tuple[IPInterface, ...]:
    return (
        *(guest.ipv4 if guest.gets_ipv4 else ()),
        *(guest.ipv6 if guest.gets_ipv6 else ()),
    )


def _routes(guest: GuestNetwork) -> Iterator[Route]:
    """Yield the routes of the families that the NIC has, a gateway's own route before its use."""
    families = {address.version for address in _addresses(guest)}
    routes = [one for one in guest.routes if one.destination.version in families]
    hosts = [Route(ip_network(via)) for via in _off_link(guest, routes)]
    yield from (host for host in dict.fromkeys(hosts) if host not in routes)
    for route in routes:
        via = route.gateway
        if via is None and not route.destination.prefixlen:
            continue  # no way to say it that all renderers know
        if via is None or via.version == route.destination.version:
            yield route


def _off_link(guest: GuestNetwork, routes: Iterable[Route]) -> Iterator[Address]:
    """Yield the gateways that no subnet of the NIC holds, and that are not link-local (IPv6)."""
    for via in (route.gateway for route in routes):
        if via is None or (via.version == 6 and via.is_link_local):
            continue
        if _needs_on_link(guest, via):
            yield via


def _needs_on_link(guest: GuestNetwork, via: Address | None) -> bool:
    """Say whether a gateway is link-local or outside the NIC's subnets."""
    if via is None:
        return False
    if via.is_link_local and not isinstance(via, IPv4Address):
        return True
    return not any(
        via.version == address.version and via in address.network for address in _addresses(guest)
    )
