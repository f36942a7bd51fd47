"""ARP over Ethernet for IPv4 (RFC 826): claims read, requests made, requests answered. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import IPv4Address

from guest.ethernet import BROADCAST, ETH_ARP, ETH_IPV4, is_unicast, mac_bytes, mac_text
from guest.exchange import Exchange
from guest.network import Address
from ra.resolve import Claim

_REQUEST, _REPLY = 1, 2
_FIXED = struct.pack("!HHBB", 1, ETH_IPV4, 6, 4)
_NOBODY = bytes(6)
_ETHERTYPE = ETH_ARP.to_bytes(2, "big")


def parse(frame: bytes) -> Claim | None:
    """Return what an ARP reply or an ARP announcement claims, else None.

    The sender fields of an ordinary request are for the host that is asked, not for us.
    """
    if len(frame) < 42 or frame[12:14] != _ETHERTYPE or frame[14:20] != _FIXED:
        return None
    (operation,) = struct.unpack_from("!H", frame, 20)
    sender_mac, sender, target = mac_text(frame[22:28]), frame[28:32], frame[38:42]
    if operation != _REPLY and not (operation == _REQUEST and sender == target):
        return None
    return Claim(IPv4Address(sender), sender_mac) if is_unicast(sender_mac) else None


def request(mac: str, source: IPv4Address, target: IPv4Address, to: str | None = None) -> bytes:
    """Return the ARP request that the guest itself would send to resolve the target.

    `to` is the one MAC to ask, as a host does that verifies an entry; by default all are.
    """
    return _frame(mac, source, target, to or BROADCAST)


def gratuitous(address: IPv4Address, lladdr: str) -> bytes:
    """Return an ARP announcement (RFC 5227 section 3) of the address at its MAC."""
    return _frame(lladdr, address, address, BROADCAST)


def answer(frame: bytes, mac: str, known: Mapping[Address, str]) -> Exchange | None:
    """Return the reply to the guest's request for an address of `known`, None to anything else.

    `mac` is the guest's. A probe or an announcement (RFC 5227) gets no reply: its sender
    wants the address for itself.
    """
    sender = mac_bytes(mac)
    asked = _FIXED + _REQUEST.to_bytes(2, "big") + sender
    if len(frame) < 42 or frame[6:14] != sender + _ETHERTYPE or frame[14:28] != asked:
        return None
    source, target = frame[28:32], frame[38:42]
    lladdr = known.get(IPv4Address(target))
    if lladdr is None or source in (bytes(4), target):
        return None
    replier = mac_bytes(lladdr)
    body = _FIXED + _REPLY.to_bytes(2, "big") + replier + target + sender + source
    reply = sender + replier + _ETHERTYPE + body
    return Exchange("ARP request", "ARP reply", reply, f"{IPv4Address(target)} is at {lladdr}")


def _frame(mac: str, source: IPv4Address, target: IPv4Address, to: str) -> bytes:
    sender = mac_bytes(mac)
    header = mac_bytes(to) + sender + _ETHERTYPE
    body = _FIXED + _REQUEST.to_bytes(2, "big") + sender + source.packed + _NOBODY + target.packed
    return header + body
