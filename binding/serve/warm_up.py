"""Requests that nobody has sent: with them answered once, no guest waits for a first time. Pure.

The codec builds its tables with the first message of each kind, which costs milliseconds,
and a guest that boots asks for each kind once.
"""

from __future__ import annotations

import struct

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from binding.ipc.codec import encode
from binding.serve.responder import Responder
from guest.ethernet import BROADCAST, ICMPV6, mac_bytes
from guest.network import GuestNetwork

_COOKIE = b"\x63\x82\x53\x63"
_DISCOVER, _REQUEST = 1, 3
_WISHES = bytes((55, 9, 1, 3, 6, 12, 15, 26, 42, 119, 121))
_SOLICIT = 1
_SERVERS, _ROUTERS = ("33:33:00:01:00:02", "ff02::1:2"), ("33:33:00:00:00:02", "ff02::2")


def warm_up(guest: GuestNetwork) -> None:
    """Answer a guest that boots, for nobody."""
    stand_in = Responder(guest, 0.0)
    for now, frame in enumerate(_boot(guest)):
        stand_in.from_guest(frame, float(now), partial_checksum=True)
    encode(stand_in.state)


def _boot(guest: GuestNetwork) -> tuple[bytes, ...]:
    """Return DISCOVER, REQUEST, RS and SOLICIT."""
    wanted = (guest.ipv4[0].ip.packed,) if guest.ipv4 else ()
    asked = b"".join(bytes((50, 4)) + address for address in wanted)
    return (
        _dhcp4(guest.mac, bytes((53, 1, _DISCOVER))),
        _dhcp4(guest.mac, bytes((53, 1, _REQUEST)) + asked),
        _ipv6(guest.mac, _ROUTERS, Raw(b"\x85" + bytes(7)), ICMPV6),
        _ipv6(guest.mac, _SERVERS, UDP(sport=546, dport=547) / Raw(_solicit(guest.mac))),
    )


def _dhcp4(mac: str, options: bytes) -> bytes:
    bootp = b"\x01\x01\x06" + bytes(25) + mac_bytes(mac) + bytes(202) + _COOKIE
    return bytes(
        Ether(src=mac, dst=BROADCAST)
        / IP(src="0.0.0.0", dst="255.255.255.255")  # noqa: S104  # of who has none yet
        / UDP(sport=68, dport=67)
        / Raw(bootp + options + _WISHES + b"\xff")
    )


def _ipv6(mac: str, to: tuple[str, str], inside: Raw | UDP, protocol: int | None = None) -> bytes:
    header = IPv6(src="fe80::1", dst=to[1], hlim=255)
    if protocol is not None:
        header.nh = protocol
    return bytes(Ether(src=mac, dst=to[0]) / header / inside)


def _solicit(mac: str) -> bytes:
    duid = b"\x00\x03\x00\x01" + mac_bytes(mac)
    options = (1, duid), (3, bytes(12)), (6, struct.pack("!3H", 23, 24, 39)), (14, b"")
    parts = (struct.pack("!HH", code, len(data)) + data for code, data in options)
    return bytes((_SOLICIT,)) + bytes(3) + b"".join(parts)
