"""Ethernet frames of a hostile guest, taken apart strictly and put together whole.

Parsing is by hand because everything here is a check that a codec does not make:
lengths, fragments, VLAN tags, checksums that a virtio guest left to the hardware.
What fails a check is None, and None is silence. Pure: bytes in, values out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from guest.ethernet import ETH_IPV4, ETH_IPV6, ICMPV6, UDP, checksum, mac_text
from guest.network import Address


@dataclass(frozen=True, slots=True)
class Packet:
    """The inside of one valid frame."""

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

    partial_checksum is the kernel's word (TP_STATUS_CSUMNOTREADY) that a virtio
    guest left the checksum to be filled in later; a wrong one is then expected.
    """
    if len(frame) < 14:
        return None
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    if ethertype == ETH_IPV4:
        return _ipv4(frame, partial_checksum=partial_checksum)
    if ethertype == ETH_IPV6:
        return _ipv6(frame, partial_checksum=partial_checksum)
    return None  # VLAN tags too: the guest's network is the untagged one


def _ipv4(frame: bytes, *, partial_checksum: bool) -> Packet | None:
    packet = frame[14:]
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    header = (packet[0] & 0x0F) * 4
    total, _, fragment = struct.unpack_from("!HHH", packet, 2)
    if header < 20 or not header <= total <= len(packet):
        return None
    if fragment & 0x3FFF or packet[9] != UDP or checksum(packet[:header]) != 0:
        return None
    src, dst = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    # A zero UDP checksum means "none" in IPv4 (RFC 768); IPv6 forbids it.
    unchecked = partial_checksum or packet[header + 6 : header + 8] == b"\0\0"
    return _upper(frame, packet[header:total], (src, dst), packet[8], UDP, unchecked=unchecked)


def _ipv6(frame: bytes, *, partial_checksum: bool) -> Packet | None:
    packet = frame[14:]
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return None
    (length,) = struct.unpack_from("!H", packet, 4)
    if 40 + length > len(packet) or packet[6] not in (UDP, ICMPV6):
        return None
    ends = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    segment = packet[40 : 40 + length]
    if packet[6] == UDP and segment[6:8] == b"\0\0" and not partial_checksum:
        return None  # RFC 8200 section 8.1
    return _upper(frame, segment, ends, packet[7], packet[6], unchecked=partial_checksum)


def _upper(  # noqa: PLR0913  # one header field each
    frame: bytes,
    segment: bytes,
    ends: tuple[Address, Address],
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
        sport, dport, length, _ = struct.unpack_from("!HHHH", segment)
        if not 8 <= length <= len(segment):
            return None
        segment = segment[:length]
        payload = segment[8:]
    elif len(segment) < 4:
        return None
    pseudo = ends[0].packed + ends[1].packed + struct.pack("!II", len(segment), protocol)
    if not unchecked and checksum(pseudo + segment) != 0:
        return None
    macs = mac_text(frame[6:12]), mac_text(frame[:6])
    return Packet(*macs, *ends, hop_limit, protocol, sport, dport, payload)
