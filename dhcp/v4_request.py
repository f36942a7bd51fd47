"""A DHCPv4 request as its guest meant it. Strict: what is not one is None."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from dhcp.v4_option_codec import decode

COOKIE = b"\x63\x82\x53\x63"
KINDS = {1: "DISCOVER", 3: "REQUEST", 4: "DECLINE", 7: "RELEASE", 8: "INFORM"}
BROADCAST_FLAG = 0x8000
_HEADER = 236  # bytes before the cookie
# Values of any other length mean that the sender and we disagree about what they say;
# duplicates joined by RFC 3396 end up here too.
_LENGTHS = {50: 4, 53: 1, 54: 4, 57: 2, 80: 0}


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
    def asked(self) -> frozenset[int] | None:
        """The parameter request list, option 55; None when there is none."""
        return frozenset(self.options[55]) if self.options.get(55) else None

    @property
    def size(self) -> int:
        """Bytes of the IP datagram that the client takes (option 57), at least 576."""
        return max(576, int.from_bytes(self.options.get(57, b"")))

    @property
    def vendor_class(self) -> bytes:
        """Option 60."""
        return self.options.get(60, b"")

    @property
    def architectures(self) -> tuple[int, ...]:
        """Option 93, in the client's order (RFC 4578 section 2.1)."""
        value = self.options.get(93, b"")
        return tuple(struct.unpack(f"!{len(value) // 2}H", value[: len(value) // 2 * 2]))

    def _address(self, code: int) -> IPv4Address | None:
        return IPv4Address(self.options[code]) if code in self.options else None


def read(payload: bytes) -> Request | None:
    """Take a BOOTP request apart; None when it is not one from an Ethernet client."""
    if len(payload) < _HEADER + len(COOKIE) or payload[:3] != b"\x01\x01\x06":
        return None
    if payload[_HEADER : _HEADER + 4] != COOKIE:
        return None
    options = decode(payload[_HEADER + 4 :], payload[108:_HEADER], payload[44:108])
    if options is None:
        return None
    if any(len(options[code]) != size for code, size in _LENGTHS.items() if code in options):
        return None
    kind = KINDS.get(options[53][0]) if 53 in options else "BOOTP"
    if kind is None:
        return None
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
