"""Both DHCP servers of one guest: the one that a packet is for answers it."""

from __future__ import annotations

from dataclasses import replace

from dhcp import v4, v6
from guest.exchange import Exchange
from guest.frame import Packet
from guest.network import GuestNetwork

_IN_BOTH = ("REQUEST", "RELEASE", "DECLINE")
"""Messages of DHCPv4 too; a log and a counter must tell them apart."""


def answer(packet: Packet, guest: GuestNetwork) -> Exchange | None:
    """Return the exchange that a packet makes, or None if it is no request of DHCP."""
    if packet.dport == v4.SERVER_PORT:
        return v4.answer(packet, guest)
    exchange = v6.answer(packet, guest)
    if exchange is not None and exchange.request in _IN_BOTH:
        return replace(exchange, request=f"DHCPv6 {exchange.request}")
    return exchange
