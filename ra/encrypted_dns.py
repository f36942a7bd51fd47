"""The Encrypted DNS option of router advertisements (RFC 9463 section 6). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from guest.encrypted_dns import resolvers
from guest.network import GuestNetwork

_TYPE = 144
_MOST = 255  # units of 8 octets


def options(guest: GuestNetwork, lifetime: int) -> Iterator[bytes]:
    """Yield the option of each resolver; `lifetime` in seconds, 0 ends it."""
    for one in resolvers(guest, 6):
        body = struct.pack("!HIH", one.priority, lifetime, len(one.name)) + one.name
        if one.addresses:
            body += len(one.addresses).to_bytes(2, "big") + one.addresses
            body += len(one.parameters).to_bytes(2, "big") + one.parameters
        padded = body + bytes(-(len(body) + 2) % 8)
        units = (len(padded) + 2) // 8
        if units <= _MOST:
            yield bytes((_TYPE, units)) + padded
