"""Frames by which `diagnose` asks a guest, or in the guest's name its gateways. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from binding.packet import bpf
from binding.packet.message_table import Field, Header, Match
from guest.ethernet import (
    BROADCAST,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMPV6,
    NEIGHBOR_SOLICITATION,
    checksum,
    group_mac,
    mac_bytes,
    solicited_node,
)
from guest.network import OUR_IPV4, OUR_LINK_LOCAL, OUR_MAC, Address, GuestNetwork

BEYOND = IPv6Address("100::1")
"""An address that no link has: the answer to it shows a router (discard prefix, RFC 6666)."""
_MOST_ADDRESSES = 8
_ALL_NODES = IPv6Address("ff02::1")
_ECHO = struct.pack("!BBHI", 128, 0, 0, 0)
"""An echo request by ICMPv6, whose checksum is still 0."""
_ECHO4 = bytes.fromhex("0800979a60650000")
"""An echo request by ICMP; its identifier tells the replies to it from others."""
_ICMP = 1
ECHO_RULES = (
    bpf.Rule(
        ETH_IPV4,
        (
            Match(Field(Header.NETWORK, 9, 1), bytes((_ICMP,))),
            Match(Field(Header.TRANSPORT, 4, 2), _ECHO4[4:6]),
        ),
    ),
    bpf.Rule(
        ETH_IPV6,
        (
            Match(Field(Header.NETWORK, 6, 1), bytes((ICMPV6,))),
            Match(Field(Header.NETWORK, 24, 16), OUR_LINK_LOCAL.packed),
        ),
    ),
)
"""What a guest replies to these echo requests, at the tap and where it leaves."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be found out about one guest."""

    is_elsewhere: bool = False
    """The guest still runs on another node: it is asked nothing."""
    given: frozenset[Address] = frozenset()
    """Addresses that it was given: where it does not answer for them it is asked for longer."""
    knows_router: bool = False
    """It has asked for a router, so it is not asked whether it knows one."""
    gateways: tuple[Address, ...] = ()
    """Machines that are asked for their MAC in the guest's name."""


def to_guest(guest: GuestNetwork, wanted: Wanted) -> Iterator[bytes]:
    """Yield what the guest is asked at its tap, from dsbridge's own MAC."""
    for four in guest.ipv4[:_MOST_ADDRESSES]:
        yield who_has(four.ip, OUR_MAC, OUR_IPV4)
    for six in guest.ipv6[:_MOST_ADDRESSES]:
        yield who_has(six.ip, OUR_MAC, OUR_LINK_LOCAL)
    for gateway in wanted.gateways:
        if isinstance(gateway, IPv4Address):
            yield _echo4(gateway, guest)
    if guest.ipv6:  # a guest with any IPv6 address shows it by its answer
        yield _to_group(_ALL_NODES, _ECHO, OUR_MAC, OUR_LINK_LOCAL)
    if not wanted.knows_router:
        yield _to_group(_ALL_NODES, _ECHO, OUR_MAC, BEYOND)


def to_gateway(guest: GuestNetwork, gateway: Address) -> bytes:
    """Return what the guest itself would ask for a gateway's MAC: CNIs know it by both."""
    own = guest.ipv4 if gateway.version == 4 else guest.ipv6
    return who_has(gateway, guest.mac, own[0].ip)


def to_others(guest: GuestNetwork) -> Iterator[bytes]:
    """Yield what the guest would ask before it takes its addresses: whether another host has them.

    ARP probes (RFC 5227) and the solicitations of duplicate address detection (RFC 4862).
    """
    for four in guest.ipv4[:1]:
        yield who_has(four.ip, guest.mac, IPv4Address(0))
    for six in guest.ipv6[:_MOST_ADDRESSES]:
        yield who_has(six.ip, guest.mac, IPv6Address(0))


def who_has(target: Address, mac: str, source: Address) -> bytes:
    """Return an ARP request or a neighbour solicitation from a MAC and an address."""
    sender = mac_bytes(mac)
    if isinstance(target, IPv4Address):
        header = mac_bytes(BROADCAST) + sender + struct.pack("!H", ETH_ARP)
        asked = struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, 1) + sender + source.packed
        return header + asked + bytes(6) + target.packed
    body = struct.pack("!BBHI", NEIGHBOR_SOLICITATION, 0, 0, 0) + target.packed
    if not source.is_unspecified:
        body += b"\x01\x01" + sender
    return _to_group(solicited_node(target), body, mac, source)


def _echo4(source: IPv4Address, guest: GuestNetwork) -> bytes:
    """Return an echo request as if of a gateway: the reply goes the way of all that leaves."""
    ends = source.packed + guest.ipv4[0].ip.packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(_ECHO4), 0, 0, 64, 1, 0) + ends
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    header = mac_bytes(guest.mac) + mac_bytes(OUR_MAC) + struct.pack("!H", ETH_IPV4)
    return header + head + _ECHO4


def _to_group(group: IPv6Address, body: bytes, mac: str, source: Address) -> bytes:
    """Return a frame to a group with an ICMPv6 message whose checksum is still 0."""
    ends = source.packed + group.packed
    total = checksum(ends + struct.pack("!II", len(body), ICMPV6) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    header = mac_bytes(group_mac(group)) + mac_bytes(mac) + struct.pack("!H", ETH_IPV6)
    return header + struct.pack("!IHBB", 0x60000000, len(body), ICMPV6, 255) + ends + body
