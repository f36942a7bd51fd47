"""A DHCPv4 request as its client meant it.

Read as dnsmasq and Kea read the same bytes, lenient where there is only one meaning. What could
mean two things, or be meant for another server, is refused with a reason.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from dhcp.boot_clients import IPXE
from dhcp.v4_option_codec import LENGTHS, decode
from guest.exchange import Malformed

COOKIE = b"\x63\x82\x53\x63"
_KINDS = {
    b"\x01": "DISCOVER",
    b"\x03": "REQUEST",
    b"\x04": "DECLINE",
    b"\x07": "RELEASE",
    b"\x08": "INFORM",
}
BROADCAST_FLAG = 0x8000
HEADER = 236  # bytes before the cookie
# What these messages mean hangs on their addresses: a REQUEST without 54 confirms an old lease,
# with 54 it takes an offer. In other messages an address of a wrong length is passed over.
_SERVER = {54: "server identifier"}
_NEEDED = {
    "REQUEST": {50: "requested address", **_SERVER},
    "DECLINE": {50: "requested address", **_SERVER},
    "RELEASE": _SERVER,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent to port 67 (RFC 2131 section 2)."""

    kind: str
    """DISCOVER, REQUEST, DECLINE, RELEASE, INFORM, or BOOTP without option 53."""
    xid: int
    flags: int
    ciaddr: IPv4Address
    giaddr: IPv4Address
    chaddr: bytes
    """All 16 octets of the field, which a reply repeats."""
    options: dict[int, bytes]

    @property
    def requested(self) -> IPv4Address | None:
        """The requested address, option 50."""
        return self._address(50)

    @property
    def server(self) -> IPv4Address | None:
        """The server identifier, option 54."""
        return self._address(54)

    @property
    def rapid_commit(self) -> bool:
        """Whether the client takes an ACK at once (option 80, RFC 4039)."""
        return self.options.get(80) == b""

    @property
    def asked(self) -> frozenset[int] | None:
        """The parameter request list, option 55; None when there is none."""
        return frozenset(self.options[55]) if self.options.get(55) else None

    @property
    def size(self) -> int:
        """Bytes of the IP datagram that the client takes (option 57), at least 576."""
        return max(576, int.from_bytes(self._right(57)))

    @property
    def vendor_class(self) -> bytes:
        """Option 60."""
        return self.options.get(60, b"")

    @property
    def is_ipxe(self) -> bool:
        """Whether iPXE asks, by its user class (77) or its encapsulated options (175)."""
        return 175 in self.options or IPXE in self.options.get(77, b"")

    @property
    def architectures(self) -> tuple[int, ...]:
        """Option 93, in the client's order (RFC 4578 section 2.1)."""
        value = self.options.get(93, b"")
        return tuple(struct.unpack(f"!{len(value) // 2}H", value[: len(value) // 2 * 2]))

    def _address(self, code: int) -> IPv4Address | None:
        value = self._right(code)
        return IPv4Address(value) if value else None

    def _right(self, code: int) -> bytes:
        """Return the value of an option, empty when absent or of a wrong length."""
        value = self.options.get(code, b"")
        return value if len(value) == LENGTHS[code] else b""


def read(payload: bytes) -> Request | Malformed:
    """Take a BOOTP request of an Ethernet client apart, or say why it is refused."""
    if fault := _header_fault(payload):
        return Malformed(f"DHCPv4: {fault}")
    options = options_of(payload)
    kind = _KINDS.get(options[53]) if 53 in options else "BOOTP"
    if kind is None:
        return Malformed(f"DHCPv4: message type (53) 0x{options[53].hex()}, which no client sends")
    for code, words in _NEEDED.get(kind, {}).items():
        if code in options and len(options[code]) != LENGTHS[code]:
            return Malformed(f"DHCPv4 {kind}: {words} ({code}) of {len(options[code])} octets")
    xid, _, flags = struct.unpack_from("!IHH", payload, 4)
    return Request(
        kind=kind,
        xid=xid,
        flags=flags,
        ciaddr=IPv4Address(payload[12:16]),
        giaddr=IPv4Address(payload[24:28]),
        chaddr=payload[28:44],
        options=options,
    )


def options_of(payload: bytes) -> dict[int, bytes]:
    """Return the options of a message by number: of its options field, file and sname."""
    return decode(payload[HEADER + len(COOKIE) :], payload[108:HEADER], payload[44:108])


def _header_fault(payload: bytes) -> str:
    if len(payload) < HEADER + len(COOKIE):
        return f"{len(payload)} octets are shorter than its header"
    if payload[:3] != b"\x01\x01\x06":
        return "op, htype and hlen are not those of an Ethernet client's request"
    return "" if payload[HEADER : HEADER + 4] == COOKIE else "no magic cookie"
