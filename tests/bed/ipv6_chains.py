"""IPv6 packets with extension headers in any order, also such as nobody sends honestly."""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv6Address

from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

Header = tuple[int, Callable[[int], bytes]]
"""Its number, and its octets given the number of the next one."""
LINK_LOCAL = "fe80::66"


def options(number: int, units: int = 0) -> Header:
    """Hop-by-hop (0) or destination options (60), padded to 8 * (units + 1) octets."""
    size = 8 * units + 6
    pads = bytearray()
    while size:
        part = min(size, 257) if size != 258 else 256
        pads += b"\0" if part == 1 else bytes((1, part - 2)) + bytes(part - 2)
        size -= part
    return number, lambda following: bytes((following, units)) + bytes(pads)


def routing(kind: int) -> Header:
    """A routing header with no segment left."""
    return 43, lambda following: bytes((following, 0, kind, 0)) + bytes(4)


def fragment(offset: int = 0, *, more: bool) -> Header:
    """`offset` in units of 8 octets."""
    return 44, lambda following: struct.pack("!BBHI", following, 0, offset << 3 | more, 7)


HOP, DST, AH = options(0), options(60), (51, lambda following: bytes((following, 4)) + bytes(22))
ROUTER_ALERT: Header = (0, lambda following: bytes((following, 0)) + b"\5\2\0\0\1\0")
JUMBO: Header = (0, lambda following: bytes((following, 0)) + b"\xc2\4\0\1\0\0")
"""The jumbo payload option (RFC 2675): the length in the fixed header is zero then."""
SEGMENTS, MOBILE = routing(4), routing(2)


def packet(
    protocol: int, upper: bytes, *headers: Header, dst: str = "ff02::1", src: str = LINK_LOCAL
) -> bytes:
    """Return an IPv6 packet with these headers in front of what is above."""
    following = protocol
    for number, octets in reversed(headers):
        upper = octets(following) + upper
        following = number
    length = 0 if JUMBO in headers else len(upper)
    ends = IPv6Address(src).packed + IPv6Address(dst).packed
    return struct.pack("!IHBB", 6 << 28, length, following, 255) + ends + upper


def upper_of(message: Packet, dst: str = "ff02::1", src: str = LINK_LOCAL) -> tuple[int, bytes]:
    """Return protocol and octets, with the checksum, of what scapy puts above IPv6."""
    whole = bytes(IPv6(src=src, dst=dst) / message)
    return whole[6], whole[40:]
