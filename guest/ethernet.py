"""Numbers and notations of Ethernet and of the Internet protocols in its frames."""

from __future__ import annotations

from ipaddress import IPv6Address

BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_DHCP6_SERVERS = IPv6Address("ff02::1:2")  # All_DHCP_Relay_Agents_and_Servers (RFC 8415)
_SOLICITED_NODE = IPv6Address("ff02::1:ff00:0")
ETH_IPV4 = 0x0800
ETH_ARP = 0x0806
ETH_IPV6 = 0x86DD
ETH_VLAN, ETH_SERVICE_VLAN = 0x8100, 0x88A8  # IEEE 802.1Q: C-tag and S-tag
TAGS = tuple(one.to_bytes(2, "big") for one in (ETH_VLAN, ETH_SERVICE_VLAN))
VLAN_ID = 0x0FFF  # of a tag's 16 bits; VID 0 says only a priority: such a frame is untagged
TCP = 6
UDP = 17
ICMPV6 = 58
DHCP4_SERVER, DHCP4_CLIENT = 67, 68
DHCP6_CLIENT, DHCP6_SERVER = 546, 547
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT = 133, 134
NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT = 135, 136
REDIRECT = 137


def mac_bytes(mac: str) -> bytes:
    """Turn aa:bb:cc:dd:ee:ff into six octets."""
    return bytes.fromhex(mac.replace(":", ""))


def is_group(mac: str) -> bool:
    """Say whether a MAC is of a multicast group, or broadcast."""
    return bool(int(mac[:2], 16) & 1)


def is_unicast(mac: str) -> bool:
    """Say whether a station can own this MAC: neither a group nor all zeros."""
    return not is_group(mac) and any(mac_bytes(mac))


def mac_text(octets: bytes) -> str:
    """Turn six octets into aa:bb:cc:dd:ee:ff."""
    return octets.hex(":")


def solicited_node(address: IPv6Address) -> IPv6Address:
    """Return the multicast group that an NS for this address goes to (RFC 4291, 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE.packed[:13] + address.packed[13:])


def group_mac(group: IPv6Address) -> str:
    """Return the MAC of an IPv6 multicast group (RFC 2464 section 7)."""
    return "33:33:" + group.packed[12:].hex(":")


def untagged(frame: bytes) -> bytes:
    """Return a frame without one tag of VID 0, which a driver left in it; others as they are."""
    if frame[12:14] not in TAGS or len(frame) < 18:
        return frame
    vid = int.from_bytes(frame[14:16], "big") & VLAN_ID
    return frame if vid else frame[:12] + frame[16:]


def checksum(octets: bytes) -> int:
    """Return the Internet checksum (RFC 1071); 0 over data that includes its own."""
    if len(octets) % 2:
        octets += b"\0"
    # Folding all carries back in is a remainder, with 0xFFFF in the place of 0.
    number = int.from_bytes(octets, "big")
    return 0xFFFF - (number % 0xFFFF or 0xFFFF) if number else 0xFFFF
