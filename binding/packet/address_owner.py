"""Which host says that it has an address: ARP (RFC 826) and NA (RFC 4861). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from guest.ethernet import ETH_ARP, ETH_IPV6, ICMPV6, NEIGHBOR_ADVERTISEMENT, mac_text
from guest.network import Address

_ARP_LENGTH, _NA_LENGTH, _WITH_OPTION = 42, 78, 86
_TARGET_LLADDR = b"\x02\x01"


@dataclass(frozen=True, slots=True)
class AddressOwner:
    """An address, and the MAC that it is said to be at."""

    address: Address
    mac: str


def read(frame: bytes) -> AddressOwner | None:
    """Return the address that the sender of a frame says it has; None for other frames."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype == ETH_ARP and len(frame) >= _ARP_LENGTH:
        address = IPv4Address(frame[28:32])
        return None if address.is_unspecified else AddressOwner(address, mac_text(frame[22:28]))
    if ethertype != ETH_IPV6 or len(frame) < _NA_LENGTH:
        return None
    if (frame[20], frame[54]) != (ICMPV6, NEIGHBOR_ADVERTISEMENT):
        return None
    has_option = len(frame) >= _WITH_OPTION and frame[78:80] == _TARGET_LLADDR
    mac = frame[80:86] if has_option else frame[6:12]
    return AddressOwner(IPv6Address(frame[62:78]), mac_text(mac))
