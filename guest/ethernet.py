"""Numbers and notations of Ethernet and of the Internet protocols in its frames."""

from __future__ import annotations

BROADCAST = "ff:ff:ff:ff:ff:ff"
ETH_IPV4 = 0x0800
ETH_ARP = 0x0806
ETH_IPV6 = 0x86DD
UDP = 17
ICMPV6 = 58


def mac_bytes(mac: str) -> bytes:
    """Turn aa:bb:cc:dd:ee:ff into six octets."""
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(octets: bytes) -> str:
    """Turn six octets into aa:bb:cc:dd:ee:ff."""
    return octets.hex(":")


def checksum(octets: bytes) -> int:
    """Return the Internet checksum (RFC 1071); 0 over data that includes its own."""
    if len(octets) % 2:
        octets += b"\0"
    # Folding all carries back in is a remainder, with 0xFFFF in the place of 0.
    number = int.from_bytes(octets, "big")
    return 0xFFFF - (number % 0xFFFF or 0xFFFF) if number else 0xFFFF
