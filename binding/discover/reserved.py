"""Addresses that no host can have, and networks that no route leads to (RFC 6890, RFC 4291)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Network, ip_network

from guest.network import OUR_IPV4, OUR_LINK_LOCAL, Address, IPNetwork

_OURS: tuple[Address, ...] = (OUR_IPV4, OUR_LINK_LOCAL)
_NOWHERE: tuple[IPNetwork, ...] = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8", "224.0.0.0/3", "0.0.0.0/8",
        "ff00::/8", "fe80::/10", "::/96", "::ffff:0:0/96", "100::/64",
    )
)  # fmt: skip
# Addresses of no host's: IPv4-compatible (RFC 4291 section 2.5.5.1), discarded (RFC 6666), and the
# one that all routers of a link share (RFC 4291 section 2.6.1), which no RA can come from.
_NO_HOSTS = tuple(IPv6Network(text) for text in ("::/96", "100::/64", "fe80::/128"))


def is_unusable(address: Address) -> bool:
    """Say whether no host of a network can have an address.

    It is a group's, loopback, mapped, of 0/8 or 240/4, with a zone, or dsbridge's own at the tap.
    """
    if address in _OURS or address.is_multicast or address.is_unspecified or address.is_loopback:
        return True
    if isinstance(address, IPv4Address):
        return address.is_reserved or address.packed[0] == 0
    if address.scope_id or address.ipv4_mapped:
        return True
    return any(address in network for network in _NO_HOSTS)


def leads_nowhere(destination: IPNetwork) -> bool:
    """Say whether a destination is part of a network that is never routed."""
    return any(within(destination, network) for network in _NOWHERE)


def within(inner: IPNetwork, outer: IPNetwork) -> bool:
    """Say whether one network is part of the other, whatever their families."""
    same = inner.version == outer.version and inner.prefixlen >= outer.prefixlen
    return same and inner.network_address in outer
