"""Neighbour discovery (RFC 4861): messages checked and read, messages of our own made. Pure."""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import IPv6Address

from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
)

from guest.ethernet import (
    ICMPV6,
    NEIGHBOR_ADVERTISEMENT,
    group_mac,
    is_unicast,
    mac_text,
    solicited_node,
)
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
    options,
)
from ra.resolve import Claim

_RS_LENGTH, _NS_LENGTH, _NA_LENGTH = 8, 24, 24
_SOLICITED, _OVERRIDE = 0x40, 0x20


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
    """Return the address that a valid NS (RFC 4861 section 7.1.1) asks for, else None."""
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


def parse_na(packet: Packet) -> Claim | None:
    """Return what a valid NA (RFC 4861 section 7.1.2) claims, else None.

    A solicited NA may leave its MAC out; the source MAC of the frame stands in then.
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
    return Claim(target, lladdr, override=bool(flags & _OVERRIDE))


@lru_cache(maxsize=8)  # NUD asks the same again and again
def advertise(
    address: IPv6Address,
    lladdr: str,
    to: tuple[IPv6Address, str] | None = None,
    *,
    is_router: bool = True,
) -> bytes:
    """Return an NA: an answer to the address and MAC of `to`, or unsolicited to all nodes.

    The O flag is always set, so that the guest replaces a MAC that it has cached. A router's
    NA without the R flag would end it as default router (RFC 4861 section 7.2.5).
    """
    dst, dst_mac = to or (ALL_NODES, group_mac(ALL_NODES))
    message = ICMPv6ND_NA(R=int(is_router), S=int(to is not None), O=1, tgt=str(address))
    return frame(lladdr, dst_mac, address, dst, message, ICMPv6NDOptDstLLAddr(lladdr=lladdr))


@lru_cache(maxsize=8)
def solicit(mac: str, source: IPv6Address, target: IPv6Address, to: str | None = None) -> bytes:
    """Return the NS that the guest itself would send to resolve the target.

    `to` is the one MAC to ask, as a host does that verifies an entry; by default all are.
    """
    group = solicited_node(target)
    message, option = ICMPv6ND_NS(tgt=str(target)), ICMPv6NDOptSrcLLAddr(lladdr=mac)
    if to is not None:
        return frame(mac, to, source, target, message, option)
    return frame(mac, group_mac(group), source, group, message, option)


def router_solicitation(mac: str) -> bytes:
    """Return the RS that the guest itself would send."""
    message, option = ICMPv6ND_RS(), ICMPv6NDOptSrcLLAddr(lladdr=mac)
    return frame(mac, group_mac(ALL_ROUTERS), eui64(mac), ALL_ROUTERS, message, option)
