"""The addresses, routers, routes and prefixes that an annotation's keys may have.

As in `annotation_values`: a JSON value goes in, ValueError says what is allowed.
"""

from __future__ import annotations

from ipaddress import (
    IPv4Interface,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any

from binding.discover.annotation_values import UnusableError, list_of, text_of
from binding.discover.reserved import is_unusable, leads_nowhere
from guest.network import PREF64_LENGTHS, Address, Route

_MOST_PREFIXES = 16  # as many IA_PDs as fit beside all other options into the least MTU of IPv6


def interfaces(value: Any) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """Allow addresses with their prefix length."""
    advice = 'write a list such as ["10.0.0.5/24", "fd00::5/64"]'
    built = list_of(value, advice, _interface)
    for one in built:
        if not _is_host(one):
            raise ValueError(f"no host can have {one}; {advice}")
    if len({one.ip for one in built}) < len(built):
        raise ValueError(f"an address is given twice; {advice}")
    return built


def gateways(value: Any) -> tuple[Address, ...]:
    """Allow one address per family."""
    advice = 'write at most one of each family, such as ["10.0.0.1", "fe80::1"]'
    built = list_of(value, advice, _address)
    if len({one.version for one in built}) < len(built):
        raise ValueError(advice)
    return built


def addresses(value: Any) -> tuple[Address, ...]:
    """Allow addresses of servers."""
    return list_of(value, 'write a list of addresses such as ["10.0.0.10", "fd00::10"]', _address)


def routes(value: Any) -> tuple[Route, ...]:
    """Allow routes; one without `via` is on-link."""
    advice = 'write a list such as [{"to": "10.1.0.0/16", "via": "10.0.0.254"}]'
    built = list_of(value, advice, _route)
    destinations = [str(one.destination) for one in built]
    for one in built:
        if leads_nowhere(one.destination):
            raise ValueError(f"no route leads to {one.destination}; {advice}")
        if destinations.count(str(one.destination)) > 1:
            raise ValueError(f"{one.destination} is given twice; {advice}")
    return built


def pref64(value: Any) -> IPv6Network:
    """Allow a NAT64 prefix of a length that RFC 6052 knows."""
    advice = 'write an IPv6 prefix of length 32, 40, 48, 56, 64 or 96 such as "64:ff9b::/96"'
    try:
        network = IPv6Network(text_of(value))
    except ValueError:
        raise ValueError(advice) from None
    if network.prefixlen not in PREF64_LENGTHS or leads_nowhere(network):
        raise ValueError(advice)
    return network


def prefixes(value: Any) -> tuple[IPv6Network, ...]:
    """Allow prefixes to delegate, none of which holds another."""
    advice = 'write a list of IPv6 prefixes such as ["fd00:64:7::/56"]'
    built = list_of(value, advice, _prefix)
    if len(built) > _MOST_PREFIXES:
        raise ValueError(f"{advice}, of {_MOST_PREFIXES} at most")
    for at, one in enumerate(built):
        for other in built[:at]:
            if one.overlaps(other):
                raise ValueError(f"{one} and {other} overlap; {advice}")
    return built


def _prefix(value: Any) -> IPv6Network:
    network = IPv6Network(_slash(value))
    is_usable = 0 < network.prefixlen < 128 and int(network.network_address)
    if not is_usable or leads_nowhere(network):
        raise UnusableError(f"no network can have {network}")
    return network


def _is_host(one: IPv4Interface | IPv6Interface) -> bool:
    """Say whether a host can have this address: the likeliest mistake is to give the subnet."""
    if isinstance(one, IPv6Interface) and one.is_link_local:
        return False  # the guest makes its link-local address itself
    network = one.network
    if network.prefixlen == 0:
        return False
    edges = [network.network_address]
    if isinstance(one, IPv4Interface):
        edges.append(network.broadcast_address)
    # In /31 and /127 both ends are hosts' (RFC 3021, RFC 6164).
    return network.prefixlen >= network.max_prefixlen - 1 or one.ip not in edges


def _slash(value: Any) -> str:
    text = text_of(value)
    if "/" not in text or "%" in text:
        raise ValueError("write the prefix length, too, and no zone")
    return text


def _address(value: Any) -> Address:
    return _unicast(ip_address(text_of(value)))


def _interface(value: Any) -> IPv4Interface | IPv6Interface:
    one = ip_interface(_slash(value))
    _unicast(one.ip)
    return one


def _unicast(address: Address) -> Address:
    if is_unusable(address):
        raise UnusableError(f"no host can have {address}")
    return address


def _route(value: Any) -> Route:
    if not isinstance(value, dict) or not {"to"} <= value.keys() <= {"to", "via"}:
        raise ValueError("write to and via")
    to = ip_network(text_of(value["to"]))
    via = _address(value["via"]) if "via" in value else None
    if via is not None and via.version != to.version:
        raise ValueError("write one family")
    return Route(to, via)
