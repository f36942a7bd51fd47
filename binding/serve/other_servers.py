"""Reads the messages of other servers and routers to the guest, from the pod network. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from dhcp.v4_request import COOKIE, HEADER, options_of
from dhcp.v6_message import IA_ADDRESS, IA_NA, walk
from guest.ethernet import DHCP4_CLIENT, DHCP6_CLIENT, ICMPV6, ROUTER_ADVERTISEMENT, mac_bytes
from guest.frame import Packet
from guest.network import Address
from ra import message

_V4 = {2: "OFFER", 5: "ACK", 6: "NAK"}
_V6 = {2: "ADVERTISE", 7: "REPLY"}
_DNS4, _SERVER4 = 6, 54
_DNS6 = 23
_PREFIX, _RDNSS = 3, 25
_AUTONOMOUS = 0x40


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """A message that gives this guest, or all nodes of its link, a configuration."""

    kind: str
    """OFFER, ACK, NAK, ADVERTISE, REPLY or RA."""
    server: Address
    """The server identifier of DHCPv4, else the sender."""
    mac: str
    transaction: bytes = b""
    addresses: tuple[Address, ...] = ()
    dns: bool = False
    """Whether it names a DNS server."""
    autonomous: IPv6Network | None = None
    """The prefix that an RA lets the guest make an address of (SLAAC)."""


def read(packet: Packet, mac: str) -> ServerMessage | None:
    """Return what a packet from the network tells the guest with this MAC, else None."""
    if packet.protocol == ICMPV6:
        return _advertisement(packet, mac)
    if packet.dport == DHCP4_CLIENT:
        return _dhcp4(packet, mac)
    return _dhcp6(packet, mac) if packet.dport == DHCP6_CLIENT else None


def _dhcp4(packet: Packet, mac: str) -> ServerMessage | None:
    payload = packet.payload
    if payload[:3] != b"\x02\x01\x06" or payload[HEADER : HEADER + 4] != COOKIE:
        return None
    if payload[28:34] != mac_bytes(mac):
        return None
    found = options_of(payload)
    if len(found.get(53, b"")) != 1 or found[53][0] not in _V4:
        return None
    server = found.get(_SERVER4, b"")
    return ServerMessage(
        kind=_V4[found[53][0]],
        server=IPv4Address(server) if len(server) == 4 else packet.src,
        mac=packet.src_mac,
        transaction=payload[4:8],
        addresses=(IPv4Address(payload[16:20]),) if found[53][0] != 6 else (),
        dns=len(found.get(_DNS4, b"")) >= 4,
    )


def _dhcp6(packet: Packet, mac: str) -> ServerMessage | None:
    payload = packet.payload
    if packet.dst_mac != mac or len(payload) < 4 or payload[0] not in _V6:
        return None
    addresses: list[Address] = []
    dns = False
    for code, data in walk(payload[4:]):
        if data is None:
            break
        dns = dns or (code == _DNS6 and len(data) >= 16)
        if code == IA_NA:
            inner = walk(data[12:])
            given = (text for kind, text in inner if kind == IA_ADDRESS and text is not None)
            addresses += [IPv6Address(text[:16]) for text in given if len(text) >= 24]
    kind = _V6[payload[0]]
    return ServerMessage(kind, packet.src, packet.src_mac, payload[1:4], tuple(addresses), dns)


def _advertisement(packet: Packet, mac: str) -> ServerMessage | None:
    if packet.payload[0] != ROUTER_ADVERTISEMENT or message.fault(packet, 16):
        return None
    if not packet.src.is_link_local or not (packet.dst_mac == mac or packet.dst.is_multicast):
        return None
    said = message.options(packet.payload[16:]) or {}
    prefix = said.get(_PREFIX, b"")
    autonomous = None
    if len(prefix) == 30 and prefix[1] & _AUTONOMOUS and prefix[0] <= 128:
        (network,) = struct.unpack_from("!16s", prefix, 14)
        autonomous = IPv6Network((network, prefix[0]), strict=False)
    return ServerMessage(
        "RA", packet.src, packet.src_mac, dns=_RDNSS in said, autonomous=autonomous
    )
