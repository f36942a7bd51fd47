"""ARP over Ethernet for IPv4 (RFC 826), for a gateway's MAC and for an address of ours. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from guest.ethernet import BROADCAST, ETH_ARP, mac_bytes, mac_text
from guest.exchange import Exchange
from guest.network import OUR_MAC
from ra.message import is_unicast

_REQUEST, _REPLY = 1, 2
_FIXED = struct.pack("!HHBB", 1, 0x0800, 6, 4)
_NOBODY = bytes(6)
_ETHERTYPE = ETH_ARP.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Said:
    """An address and the MAC that claims it, in a reply or gratuitously."""

    address: IPv4Address
    lladdr: str


def parse(frame: bytes) -> Said | None:
    """Return what an ARP reply or gratuitous ARP request says, else None.

    Other requests are a question: their sender is believed by whom they ask.
    """
    if len(frame) < 42 or frame[12:14] != _ETHERTYPE or frame[14:20] != _FIXED:
        return None
    (operation,) = struct.unpack_from("!H", frame, 20)
    sender_mac, sender, target = mac_text(frame[22:28]), frame[28:32], frame[38:42]
    if operation != _REPLY and not (operation == _REQUEST and sender == target):
        return None
    return Said(IPv4Address(sender), sender_mac) if is_unicast(sender_mac) else None


def request(mac: str, source: IPv4Address, target: IPv4Address) -> bytes:
    """Return the ARP request that the guest itself would send to resolve the target."""
    return _frame(mac, source, target)


def gratuitous(address: IPv4Address, lladdr: str) -> bytes:
    """Return an ARP announcement (RFC 5227 section 3) of the address at its MAC."""
    return _frame(lladdr, address, address)


def answer(frame: bytes, mac: str, address: IPv4Address) -> Exchange | None:
    """Return the reply to a request of this MAC for an address of ours, None to anything else.

    A probe or an announcement (RFC 5227) gets none: who sends that wants the address itself.
    """
    sender = mac_bytes(mac)
    asked = _FIXED + _REQUEST.to_bytes(2, "big") + sender
    if len(frame) < 42 or frame[6:14] != sender + _ETHERTYPE or frame[14:28] != asked:
        return None
    source, target = frame[28:32], frame[38:42]
    if target != address.packed or source in (bytes(4), target):
        return None
    ours = mac_bytes(OUR_MAC)
    said = _FIXED + _REPLY.to_bytes(2, "big") + ours + target + sender + source
    reply = sender + ours + _ETHERTYPE + said
    return Exchange("ARP request", "ARP reply", reply, f"server {address} is at {OUR_MAC}")


def _frame(mac: str, source: IPv4Address, target: IPv4Address) -> bytes:
    sender = mac_bytes(mac)
    header = mac_bytes(BROADCAST) + sender + _ETHERTYPE
    body = _FIXED + _REQUEST.to_bytes(2, "big") + sender + source.packed + _NOBODY + target.packed
    return header + body
