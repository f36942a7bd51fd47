"""DHCPv6 messages and router solicitations: honest ones, and one or two things odd about them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from guest.ethernet import checksum
from tests.bed.layouts import LAYOUTS

_LAYOUT = LAYOUTS["kube-ovn"]
MAC = bytes.fromhex(_LAYOUT.mac.replace(":", ""))
STRANGER = bytes.fromhex("020000000bad")
DUID = b"\x00\x03\x00\x01" + MAC
OURS = _LAYOUT.ipv6[0].ip.packed
OTHER, ELSEWHERE = IPv6Address("fd00:10:16::9").packed, IPv6Address("fd99::9").packed
LINK_LOCAL = IPv6Address("fe80::200:ff:fe7d:1c07").packed
SERVERS, SITE = IPv6Address("ff02::1:2").packed, IPv6Address("ff05::1:3").packed
ROUTERS, ANY = IPv6Address("ff02::2").packed, bytes(16)
_PADN = b"\0\1\4\0\0\0\0"
SERVER_ID = "server id"
"""Stands for the DUID of whichever server is asked."""


def address(octets: bytes, more: bytes = bytes(8)) -> bytes:
    return option(5, octets + more)


def option(code: int, data: bytes) -> bytes:
    return struct.pack("!HH", code, len(data)) + data


def ia(*addresses: bytes, iaid: int = 1) -> bytes:
    return struct.pack("!III", iaid, 0, 0) + b"".join(map(address, addresses))


@dataclass(slots=True)
class Request6:
    """Fields of one message, to be made odd, then written."""

    kind: int
    options: list[tuple[int, bytes | str]] = field(default_factory=list)
    xid: int = 0
    tail: bytes = b""
    cut: int | None = None
    src: bytes = LINK_LOCAL
    dst: bytes = SERVERS
    src_mac: bytes = MAC
    hop_limit: int = 1
    ports: tuple[int, int] = (546, 547)
    checksum: str = "right"
    between: tuple[int, bytes] | None = None
    """The number of an extension header, and its octets behind the first."""

    def put(self, code: int, value: bytes | str) -> None:
        self.options = [one for one in self.options if one[0] != code]
        self.options.append((code, value))

    def frame(self, server: bytes) -> bytes:
        written = ((c, server if v == SERVER_ID else v) for c, v in self.options)
        area = b"".join(option(code, value) for code, value in written)  # type: ignore[arg-type]  # pairs of code and value
        payload = (bytes((self.kind,)) + self.xid.to_bytes(3, "big") + area + self.tail)[: self.cut]
        udp = struct.pack("!HHHH", *self.ports, 8 + len(payload), 0)
        segment = _checked(udp + payload, 6, self.src + self.dst, 17, self.checksum)
        return _frame(self, 17, segment)


def _frame(request: Request6 | Solicitation, protocol: int, segment: bytes) -> bytes:
    following, inside = protocol, segment
    if request.between is not None:
        following, rest = request.between
        inside = bytes((protocol,)) + rest + segment
    head = struct.pack("!IHBB", 0x60000000, len(inside), following, request.hop_limit)
    mac = b"\x33\x33" + request.dst[12:] if request.dst[0] == 0xFF else b"\x00\x00\x00\x2a\x6b\x01"
    return mac + request.src_mac + b"\x86\xdd" + head + request.src + request.dst + inside


def _checked(segment: bytes, at: int, ends: bytes, protocol: int, how: str) -> bytes:
    total = checksum(ends + struct.pack("!II", len(segment), protocol) + segment)
    total = {"right": total or 0xFFFF, "none": 0, "wrong": total ^ 0x1111}[how]
    return segment[:at] + struct.pack("!H", total) + segment[at + 2 :]


_HONEST: tuple[tuple[int, bytes | str], ...] = ((8, b"\0\0"), (6, struct.pack("!HH", 23, 24)))


def _made(kind: int, *options: tuple[int, bytes | str]) -> Callable[[], Request6]:
    return lambda: Request6(kind, [(1, DUID), *options, *_HONEST])


_NA, _OF_SERVER = (3, ia(OURS)), (2, SERVER_ID)
KINDS: dict[str, Callable[[], Request6]] = {
    "SOLICIT": _made(1, (3, ia())),
    "DHCPv6 REQUEST": _made(3, _OF_SERVER, _NA),
    "CONFIRM": _made(4, _NA),
    "RENEW": _made(5, _OF_SERVER, _NA),
    "REBIND": _made(6, _NA),
    "INFORMATION-REQUEST": _made(11),
    "DHCPv6 RELEASE": _made(8, _OF_SERVER, _NA),
}
LAST: dict[str, Callable[[], Request6]] = {"DHCPv6 DECLINE": _made(9, _OF_SERVER, _NA)}

Twist = Callable[[Request6], object]


def _set(**fields: object) -> Twist:
    def change(request: Request6) -> None:
        for name, value in fields.items():
            setattr(request, name, value)

    return change


def _put(code: int, value: bytes | str) -> Twist:
    return lambda request: request.put(code, value)


def _add(code: int, value: bytes | str) -> Twist:
    return lambda request: request.options.append((code, value))


def _without(code: int) -> Twist:
    return lambda request: setattr(request, "options", [o for o in request.options if o[0] != code])


def _again(code: int) -> Twist:
    return lambda request: request.options.extend([o for o in request.options if o[0] == code][:1])


TWISTS: dict[str, Twist] = {
    "none": lambda _: None,
    "no client id": _without(1),
    "client id twice": _again(1),
    "two client ids": _add(1, b"\0\3\0\1" + STRANGER),
    "another client id": _put(1, b"\0\3\0\1" + STRANGER),
    "client id of 1 octet": _put(1, b"\0"),
    "client id of 0 octets": _put(1, b""),
    "client id of 130 octets": _put(1, b"\0\2" + bytes(128)),
    "client id of 131 octets": _put(1, b"\0\2" + bytes(129)),
    "names the server": _put(2, SERVER_ID),
    "no server id": _without(2),
    "another server": _put(2, b"\0\3\0\1" + STRANGER),
    "server id twice": _again(2),
    "two server ids": lambda r: r.options.extend([(2, SERVER_ID), (2, b"\0\3\0\1" + STRANGER)]),
    "server id of 0 octets": _put(2, b""),
    "no IA": _without(3),
    "IAID 0": _put(3, ia(OURS, iaid=0)),
    "another IAID": _put(3, ia(OURS, iaid=77)),
    "IA without an address": _put(3, ia()),
    "IA twice": _again(3),
    "two IAs": _add(3, ia(iaid=2)),
    "IA of another address": _put(3, ia(OTHER)),
    "IA of elsewhere": _put(3, ia(ELSEWHERE)),
    "IA of ours and elsewhere": _put(3, ia(OURS, ELSEWHERE)),
    "IA of ::": _put(3, ia(ANY)),
    "IA of 4 octets": _put(3, bytes(4)),
    "IA with a short address": _put(3, ia() + option(5, OURS)),
    "IA that is cut": _put(3, ia() + b"\0\5\0\x18ab"),
    "preferred above valid": _put(3, ia() + option(5, OURS + b"\0\0\1\0\0\0\0\1")),
    "T1 above T2": _put(3, struct.pack("!III", 1, 99, 9) + address(OURS)),
    "IA_TA": _put(4, bytes(4)),
    "IA_TA of 0 octets": _put(4, b""),
    "IA_PD": _put(25, struct.pack("!III", 1, 0, 0)),
    "IA_PD only": lambda r: (_without(3)(r), r.put(25, struct.pack("!III", 1, 0, 0))),
    "rapid commit": _put(14, b""),
    "rapid commit of 1 octet": _put(14, b"\0"),
    "no ORO": _without(6),
    "empty ORO": _put(6, b""),
    "ORO of 3 octets": _put(6, b"\0\x17\0"),
    "ORO of everything": _put(6, b"".join(c.to_bytes(2, "big") for c in range(150))),
    "ORO twice": _again(6),
    "no elapsed time": _without(8),
    "elapsed time of 1 octet": _put(8, b"\0"),
    "FQDN": _put(39, b"\1\3vm1"),
    "FQDN of 0 octets": _put(39, b""),
    "user class": _put(15, b"\0\4iPXE"),
    "user class that overruns": _put(15, b"\0\x40iP"),
    "vendor class": _put(16, b"\0\0\1\x37\0\4MSFT"),
    "vendor class of 2 octets": _put(16, b"\0\0"),
    "reconfigure accept": _put(20, b""),
    "authentication": _put(11, bytes(11)),
    "unicast option": _put(12, OURS),
    "relay message option": _put(9, bytes(4)),
    "interface id": _put(18, b"x"),
    "preference": _put(7, b"\xff"),
    "status code": _put(13, b"\0\1"),
    "unknown option": _put(65000, b"x"),
    "option overruns": _set(tail=b"\0\x17\0\x40ab"),
    "octets behind": _set(tail=b"\0\x17\0"),
    "cut in its header": _set(cut=3),
    "cut behind its header": _set(cut=4),
    "from a global address": _set(src=OURS),
    "from elsewhere": _set(src=ELSEWHERE),
    "from ::": _set(src=ANY),
    "from another source MAC": _set(src_mac=STRANGER),
    "to all servers of the site": _set(dst=SITE),
    "to all nodes": _set(dst=IPv6Address("ff02::1").packed),
    "hop limit 255": _set(hop_limit=255),
    "hop limit 0": _set(hop_limit=0),
    "from port 1546": _set(ports=(1546, 547)),
    "from port 547": _set(ports=(547, 547)),
    "no UDP checksum": _set(checksum="none"),
    "wrong UDP checksum": _set(checksum="wrong"),
    "an ADVERTISE": _set(kind=2),
    "a REPLY": _set(kind=7),
    "a RECONFIGURE": _set(kind=10),
    "a RELAY-FORW": _set(kind=12),
    "message type 0": _set(kind=0),
    "message type 14": _set(kind=14),
    "message type 255": _set(kind=255),
    "destination options": _set(between=(60, _PADN)),
    "hop-by-hop options": _set(between=(0, _PADN)),
}


@dataclass(slots=True)
class Solicitation:
    """A router solicitation."""

    options: bytes = b"\1\1" + MAC
    kind: int = 133
    code: int = 0
    src: bytes = LINK_LOCAL
    dst: bytes = ROUTERS
    src_mac: bytes = MAC
    hop_limit: int = 255
    checksum: str = "right"
    between: tuple[int, bytes] | None = None
    cut: int | None = None

    def frame(self) -> bytes:
        body = (bytes((self.kind, self.code, 0, 0)) + bytes(4) + self.options)[: self.cut]
        return _frame(self, 58, _checked(body, 2, self.src + self.dst, 58, self.checksum))


SOLICITATIONS: dict[str, Solicitation] = {
    "none": Solicitation(),
    "no link-layer address": Solicitation(options=b""),
    "from ::": Solicitation(src=ANY, options=b""),
    "from :: with a link-layer address": Solicitation(src=ANY),
    "from a global address": Solicitation(src=OURS),
    "from a group": Solicitation(src=IPv6Address("ff02::1").packed),
    "another link-layer address": Solicitation(options=b"\1\1" + STRANGER),
    "another source MAC": Solicitation(src_mac=STRANGER),
    "hop limit 64": Solicitation(hop_limit=64),
    "code 1": Solicitation(code=1),
    "an option of length 0": Solicitation(options=b"\1\0" + MAC),
    "an option that overruns": Solicitation(options=b"\1\2" + MAC),
    "octets behind the options": Solicitation(options=b"\1\1" + MAC + b"\1"),
    "two link-layer addresses": Solicitation(options=(b"\1\1" + MAC) * 2),
    "unknown option": Solicitation(options=b"\xfd\1" + bytes(6)),
    "nonce": Solicitation(options=b"\x0e\1" + bytes(6)),
    "cut": Solicitation(cut=7),
    "wrong checksum": Solicitation(checksum="wrong"),
    "no checksum": Solicitation(checksum="none"),
    "to all nodes": Solicitation(dst=IPv6Address("ff02::1").packed),
    "destination options": Solicitation(between=(60, _PADN)),
}


def made(kind: str, twists: tuple[str, ...], xid: int, server: bytes) -> bytes:
    """Return the frame for the server of this DUID."""
    request = {**KINDS, **LAST}[kind]()
    for twist in twists:
        TWISTS[twist](request)
    request.xid = xid
    return request.frame(server)


def drawn(rng: random.Random) -> tuple[str, tuple[str, ...]]:
    """Draw a kind and what is odd about it."""
    count = rng.choice((1, 1, 1, 1, 2))
    return rng.choice(list(KINDS)), tuple(sorted(rng.sample(list(TWISTS), count)))
