"""Encrypted DNS resolvers as all three protocols tell them (RFC 9463). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from guest import dns_label
from guest.network import EncryptedDns, Family, GuestNetwork

_ALPN, _PORT, _DOHPATH = 1, 3, 7  # RFC 9460 section 14.3.2, RFC 9461 section 5


@dataclass(frozen=True, slots=True)
class Resolver:
    """One resolver in the octets that DHCPv4, DHCPv6 and router advertisements share."""

    priority: int
    """From 1, the lower the better."""
    name: bytes
    """The authentication domain name (ADN), in DNS's encoding."""
    addresses: bytes
    """The resolver's addresses of one family; empty: the guest resolves the name (ADN-only mode,
    section 3.1.6)."""
    parameters: bytes
    """SvcParams (RFC 9460 section 2.2); empty in ADN-only mode."""


def resolvers(guest: GuestNetwork, family: Family) -> Iterator[Resolver]:
    """Yield the resolvers that a protocol of this family can tell, in the order of configuration.

    One with addresses of the other family alone is left out: without its addresses the guest would
    ask an unencrypted resolver for its name.
    """
    for priority, one in enumerate(guest.encrypted_dns, 1):
        packed = b"".join(each.packed for each in one.addresses if each.version == family)
        name = dns_label.encode(one.name)
        if name and (packed or not one.addresses):
            yield Resolver(priority, name, packed, _parameters(one) if packed else b"")


def _parameters(resolver: EncryptedDns) -> bytes:
    """Return the SvcParams, ascending by key, as they must be."""
    parts = [(_ALPN, b"".join(map(dns_label.counted, resolver.alpn)))]
    if resolver.port is not None:
        parts.append((_PORT, struct.pack("!H", resolver.port)))
    if resolver.dohpath:
        parts.append((_DOHPATH, resolver.dohpath.encode()))
    return b"".join(struct.pack("!HH", key, len(value)) + value for key, value in parts)
