"""Neighbour discovery messages: which are valid, what they say, and ours (RFC 4861). Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address

from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
)

from guest.ethernet import ICMPV6, NEIGHBOR_ADVERTISEMENT, mac_text
from guest.frame import Packet
from ra.gateway import eui64
from ra.message import (
    ALL_NODES,
    ALL_ROUTERS,
    SOURCE_LLADDR,
    TARGET_LLADDR,
    UNSPECIFIED,
    fault,
    frame,
    group_mac,
    is_unicast,
    options,
    solicited_node,
)

_RS_LENGTH, _NS_LENGTH, _NA_LENGTH = 8, 24, 24
_SOLICITED, _OVERRIDE = 0x40, 0x20


@dataclass(frozen=True, slots=True)
class Advertised:
    """What a valid NA says."""

    target: IPv6Address
    lladdr: str
    override: bool
    """The sender may replace another MAC: a fail-over, not a proxy or an anycast."""


def rs_fault(packet: Packet) -> str:
    """Say why an RS must be dropped (RFC 4861 section 6.1.1), or return ""."""
    if wrong := fault(packet, _RS_LENGTH):
        return wrong
    if packet.src.is_multicast:
        return "multicast source"
    if packet.src == UNSPECIFIED and SOURCE_LLADDR in (options(packet.payload[8:]) or {}):
        return "source :: with a link-layer address"
    return ""


def ns_target(packet: Packet) -> IPv6Address | None:
    """Return whom a valid NS (RFC 4861 section 7.1.1) asks for, else None."""
    if fault(packet, _NS_LENGTH) or packet.src.is_multicast:
        return None
    target = IPv6Address(packet.payload[8:24])
    group = solicited_node(target)
    if target.is_multicast or packet.dst not in (target, group):
        return None
    if packet.src == UNSPECIFIED and (
        packet.dst != group or SOURCE_LLADDR in (options(packet.payload[24:]) or {})
    ):
        return None
    return target


def parse_na(packet: Packet) -> Advertised | None:
    """Return what a valid NA (RFC 4861 section 7.1.2) says, else None.

    A solicited one may leave its MAC out; the frame's source stands in then.
    """
    if packet.protocol != ICMPV6 or packet.payload[0] != NEIGHBOR_ADVERTISEMENT:
        return None
    if fault(packet, _NA_LENGTH):
        return None
    (flags,) = struct.unpack_from("!B", packet.payload, 4)
    target = IPv6Address(packet.payload[8:24])
    if target.is_multicast or (packet.dst.is_multicast and flags & _SOLICITED):
        return None
    option = (options(packet.payload[24:]) or {}).get(TARGET_LLADDR)
    lladdr = packet.src_mac if option is None else mac_text(option[:6])
    if not is_unicast(lladdr):
        return None
    return Advertised(target, lladdr, override=bool(flags & _OVERRIDE))


@lru_cache(maxsize=8)  # pure, and what NUD asks for is always the same
def advertise(
    address: IPv6Address, lladdr: str, to: tuple[IPv6Address, str] | None = None
) -> bytes:
    """Return an NA of a router: an answer to one node, or unsolicited to all of them.

    The override flag is always set, so that what the guest has cached gives way.
    """
    dst, dst_mac = to or (ALL_NODES, group_mac(ALL_NODES))
    message = ICMPv6ND_NA(R=1, S=int(to is not None), O=1, tgt=str(address))
    return frame(lladdr, dst_mac, address, dst, message, ICMPv6NDOptDstLLAddr(lladdr=lladdr))


@lru_cache(maxsize=8)
def solicit(mac: str, source: IPv6Address, target: IPv6Address) -> bytes:
    """Return the NS that the guest itself would send to resolve the target."""
    group = solicited_node(target)
    message, option = ICMPv6ND_NS(tgt=str(target)), ICMPv6NDOptSrcLLAddr(lladdr=mac)
    return frame(mac, group_mac(group), source, group, message, option)


def router_solicitation(mac: str) -> bytes:
    """Return the RS that the guest itself would send."""
    message, option = ICMPv6ND_RS(), ICMPv6NDOptSrcLLAddr(lladdr=mac)
    return frame(mac, group_mac(ALL_ROUTERS), eui64(mac), ALL_ROUTERS, message, option)
