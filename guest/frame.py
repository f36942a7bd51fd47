"""Ethernet frames of a hostile guest, taken apart strictly and put together whole.

Parsing is by hand because everything here is a check that a codec does not make:
lengths, fragments, VLAN tags, checksums that a virtio guest left to the hardware.
What fails a check is None, and None is silence. Pure: bytes in, values out.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from guest.ethernet import ETH_IPV4, ETH_IPV6, ICMPV6, UDP, checksum, mac_text, untagged
from guest.network import Address

_IS_IPV4, _IS_IPV6 = ETH_IPV4.to_bytes(2, "big"), ETH_IPV6.to_bytes(2, "big")
# What is read of each header, as far as it is before options.
_IPV4 = struct.Struct("!BxHxxHBBxx8s")
_IPV6 = struct.Struct("!BxxxHBB32s")
_UDP = struct.Struct("!HHH")
_PSEUDO = struct.Struct("!II")
_LINK_LOCAL = 0xFE
"""First octet of link-local addresses (fe80::/10); behind them there are only multicast ones."""


class Packet(NamedTuple):
    """The inside of one valid frame. A tuple: a dataclass takes thrice as long to make."""

    src_mac: str
    dst_mac: str
    src: Address
    dst: Address
    hop_limit: int
    """TTL in IPv4."""
    protocol: int
    """UDP or ICMPV6."""
    sport: int
    """0 in ICMPv6."""
    dport: int
    """0 in ICMPv6."""
    payload: bytes
    """After the UDP header; the whole message, type octet first, in ICMPv6."""


def parse(frame: bytes, *, partial_checksum: bool = False) -> Packet | None:
    """Return what an untagged, unfragmented UDP or ICMPv6 frame holds, else None.

    A frame with one 802.1Q tag of VID 0 is untagged; any other tag is of another network.

    partial_checksum is the kernel's word (TP_STATUS_CSUMNOTREADY) that a virtio
    guest left the checksum to be filled in later; a wrong one is then expected.
    """
    frame = untagged(frame)
    ethertype = frame[12:14]
    if ethertype == _IS_IPV4:
        return _ipv4(frame, partial_checksum=partial_checksum)
    if ethertype == _IS_IPV6:
        return _ipv6(frame, partial_checksum=partial_checksum)
    return None


def routed6(frame: bytes) -> IPv6Address | None:
    """Return where an IPv6 frame to one station goes, unless that is link-local or multicast."""
    if len(frame) < 54 or int.from_bytes(frame[12:14], "big") != ETH_IPV6 or frame[0] & 1:
        return None
    destination = IPv6Address(frame[38:54])
    return None if destination.packed[0] >= _LINK_LOCAL else destination


def _ipv4(frame: bytes, *, partial_checksum: bool) -> Packet | None:
    if len(frame) < 34:
        return None
    first, total, fragment, ttl, protocol, ends = _IPV4.unpack_from(frame, 14)
    header = (first & 0x0F) * 4
    if first >> 4 != 4 or header < 20 or not header <= total <= len(frame) - 14:
        return None
    if fragment & 0x3FFF or protocol != UDP or checksum(frame[14 : 14 + header]) != 0:
        return None
    segment = frame[14 + header : 14 + total]
    # A zero UDP checksum means "none" in IPv4 (RFC 768); IPv6 forbids it.
    unchecked = partial_checksum or segment[6:8] == b"\0\0"
    return _upper(frame, segment, ends, ttl, UDP, unchecked=unchecked)


def _ipv6(frame: bytes, *, partial_checksum: bool) -> Packet | None:
    if len(frame) < 54:
        return None
    first, length, following, hop_limit, ends = _IPV6.unpack_from(frame, 14)
    if first >> 4 != 6 or 54 + length > len(frame) or following not in (UDP, ICMPV6):
        return None
    segment = frame[54 : 54 + length]
    if following == UDP and segment[6:8] == b"\0\0" and not partial_checksum:
        return None  # RFC 8200 section 8.1
    return _upper(frame, segment, ends, hop_limit, following, unchecked=partial_checksum)


def _upper(  # noqa: PLR0913  # one header field each
    frame: bytes,
    segment: bytes,
    ends: bytes,
    hop_limit: int,
    protocol: int,
    *,
    unchecked: bool,
) -> Packet | None:
    sport = dport = 0
    payload = segment
    if protocol == UDP:
        if len(segment) < 8:
            return None
        sport, dport, length = _UDP.unpack_from(segment)
        if not 8 <= length <= len(segment):
            return None
        segment = segment[:length]
        payload = segment[8:]
    elif len(segment) < 4:
        return None
    if not unchecked:
        pseudo = ends + _PSEUDO.pack(len(segment), protocol)
        if checksum(pseudo + segment) != 0:
            return None
    ports = sport, dport
    return Packet(*_macs(frame[:12]), *_addresses(ends), hop_limit, protocol, *ports, payload)


# A guest and its servers have few addresses, and to make them takes microseconds.
@lru_cache(maxsize=64)
def _macs(octets: bytes) -> tuple[str, str]:
    """Return source and destination, which stand in the frame the other way round."""
    return mac_text(octets[6:]), mac_text(octets[:6])


@lru_cache(maxsize=64)
def _addresses(octets: bytes) -> tuple[Address, Address]:
    kind, half = (IPv4Address, 4) if len(octets) == 8 else (IPv6Address, 16)
    return kind(octets[:half]), kind(octets[half:])
