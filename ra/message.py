"""ICMPv6 messages of neighbour discovery: their options in, whole frames out (RFC 4861)."""

from __future__ import annotations

from ipaddress import IPv6Address

from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet as Message

from guest.build import built
from guest.ethernet import ETH_IPV6, ICMPV6
from guest.frame import Packet

SOURCE_LLADDR, TARGET_LLADDR = 1, 2

UNSPECIFIED = IPv6Address("::")
ALL_NODES = IPv6Address("ff02::1")
ALL_ROUTERS = IPv6Address("ff02::2")


def fault(packet: Packet, shortest: int) -> str:
    """Say why an ND message must be dropped (RFC 4861 section 6.1.1), or return ""."""
    if packet.hop_limit != 255:
        return f"hop limit {packet.hop_limit}"
    if packet.payload[1] != 0:
        return f"ICMP code {packet.payload[1]}"
    if len(packet.payload) < shortest:
        return "too short"
    if options(packet.payload[shortest:]) is None:
        return "broken options"
    return ""


def options(octets: bytes) -> dict[int, bytes] | None:
    """Return the first option of each type, without its two octets of header.

    None where an option has length zero or runs past the end (section 4.6).
    """
    found: dict[int, bytes] = {}
    while octets:
        if len(octets) < 2 or octets[1] == 0 or octets[1] * 8 > len(octets):
            return None
        end = octets[1] * 8
        found.setdefault(octets[0], octets[2:end])
        octets = octets[end:]
    return found


def frame(
    src_mac: str, dst_mac: str, src: IPv6Address, dst: IPv6Address, *message: Message
) -> bytes:
    """Put an ICMPv6 message and its options, scapy's, into a frame with checksum and hop limit."""
    return built(
        Ether(src=src_mac, dst=dst_mac, type=ETH_IPV6),
        IPv6(src=str(src), dst=str(dst), hlim=255, nh=ICMPV6),
        *message,
    )
