"""Both DHCP servers of one guest: hands a packet to the server whose port it is for."""

from __future__ import annotations

from dhcp import v4, v4_key, v6, v6_key
from guest.ethernet import DHCP4_SERVER, DHCP6_SERVER
from guest.exchange import Exchange
from guest.frame import Packet
from guest.network import GuestNetwork

Key = tuple[str, str, int, int, v4_key.Meaning | v6_key.Meaning]
"""MAC and IP addresses of source and destination, and what the request means."""

_IN_BOTH = ("REQUEST", "RELEASE", "DECLINE")
"""Message names of DHCPv4 and DHCPv6, which logs and counters must tell apart."""


def answer(packet: Packet, guest: GuestNetwork) -> Exchange | None:
    """Return the exchange that a packet to port 67 or 547 makes; None for any other packet."""
    if packet.dport == DHCP4_SERVER:
        return v4.answer(packet, guest)
    exchange = v6.answer(packet, guest)
    if exchange is not None and exchange.request in _IN_BOTH:
        return exchange._replace(request=f"DHCPv6 {exchange.request}")
    return exchange


def question(packet: Packet) -> tuple[Key, bytes] | None:
    """Return all that the answer to a request depends on, and its transaction id.

    None for a packet that is no request, or that must be read to say what is wrong with it.
    """
    version = packet.src.version
    port, of = _KEYS[version]
    meant = of.meaning(packet.payload) if packet.dport == port else None
    if meant is None:
        return None
    ends = packet.src_mac, packet.dst_mac, int(packet.src), int(packet.dst)
    return (*ends, meant), packet.payload[of.TRANSACTION]


def plain(packet: Packet, key: Key) -> Packet:
    """Return the packet of a key with a request that says no more than the key."""
    _, of = _KEYS[packet.src.version]
    payload = of.request(key[-1])
    return packet._replace(hop_limit=0, sport=0, payload=payload)


_KEYS = {4: (DHCP4_SERVER, v4_key), 6: (DHCP6_SERVER, v6_key)}
