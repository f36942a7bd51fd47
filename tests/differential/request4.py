"""DHCPv4 requests: honest ones of every client state, and one or two things odd about them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from bench.beds import ROUTER4
from tests.bed.layouts import LAYOUTS

_LAYOUT = LAYOUTS["kube-ovn"]
MAC = bytes.fromhex(_LAYOUT.mac.replace(":", ""))
OURS = _LAYOUT.ipv4[0].ip.packed
SERVER = IPv4Address(ROUTER4).packed
OTHER, ELSEWHERE = IPv4Address("10.16.9.9").packed, IPv4Address("192.168.7.7").packed
STRANGER = bytes.fromhex("020000000bad")
GATEWAY = bytes.fromhex(_LAYOUT.gateway_mac.replace(":", ""))
ALL, NOBODY = b"\xff" * 4, bytes(4)


@dataclass(slots=True)
class Request4:
    """Fields of one request, to be made odd, then written."""

    kind: int
    options: list[tuple[int, bytes]] = field(default_factory=list)
    head: bytes = b"\x01\x01\x06\x00"
    xid: int = 0
    secs: int = 1
    flags: int = 0
    ciaddr: bytes = NOBODY
    yiaddr: bytes = NOBODY
    siaddr: bytes = NOBODY
    giaddr: bytes = NOBODY
    chaddr: bytes = MAC
    sname: bytes = b""
    file: bytes = b""
    cookie: bytes = b"\x63\x82\x53\x63"
    tail: bytes = b"\xff"
    pad_to: int = 300
    cut: int | None = None
    src: bytes = NOBODY
    dst: bytes = ALL
    src_mac: bytes = MAC
    dst_mac: bytes = b"\xff" * 6
    ports: tuple[int, int] = (68, 67)
    ttl: int = 64
    fragment: int = 0
    checksum: str = "right"
    tag: bytes = b""

    def has(self, code: int) -> bool:
        return any(one == code for one, _ in self.options)

    def put(self, code: int, value: bytes) -> None:
        """Give an option another value, or add it."""
        self.options = [one for one in self.options if one[0] != code]
        self.options.append((code, value))

    def frame(self) -> bytes:
        names = self.sname.ljust(64, b"\0") + self.file.ljust(128, b"\0")
        numbers = struct.pack("!IHH", self.xid, self.secs, self.flags)
        places = self.ciaddr + self.yiaddr + self.siaddr + self.giaddr
        area = b"".join(
            bytes((code,)) + (bytes((len(value),)) + value if code not in (0, 255) else b"")
            for code, value in self.options
        )
        payload = self.head + numbers + places + self.chaddr.ljust(16, b"\0") + names
        payload = (payload + self.cookie + area + self.tail).ljust(self.pad_to, b"\0")
        payload = payload[: self.cut]
        udp = struct.pack("!HHHH", *self.ports, 8 + len(payload), 0)
        pseudo = self.src + self.dst + struct.pack("!HH", 17, 8 + len(payload))
        total = {"right": _sum(pseudo + udp + payload), "none": 0, "wrong": 0x1234}[self.checksum]
        segment = udp[:6] + struct.pack("!H", total) + payload
        about = (0x45, 0, 20 + len(segment), 7, self.fragment, self.ttl, 17, 0)
        header = struct.pack("!BBHHHBBH", *about) + self.src + self.dst
        header = header[:10] + struct.pack("!H", _sum(header)) + header[12:]
        return self.dst_mac + self.src_mac + self.tag + b"\x08\x00" + header + segment


def _sum(octets: bytes) -> int:
    octets += b"\0" * (len(octets) % 2)
    total = int.from_bytes(octets, "big") % 0xFFFF or 0xFFFF
    return 0xFFFF - total or 0xFFFF


_ASKED = (55, bytes((1, 3, 6, 15, 26, 51, 54, 119, 121)))


def _made(kind: int, *options: tuple[int, bytes], **fields: object) -> Callable[[], Request4]:
    return lambda: Request4(kind, [(53, bytes((kind,))), *options, _ASKED], **fields)  # type: ignore[arg-type]  # fields of mixed types


KINDS: dict[str, Callable[[], Request4]] = {
    "DISCOVER": _made(1),
    "SELECTING": _made(3, (50, OURS), (54, SERVER)),
    "INIT-REBOOT": _made(3, (50, OURS)),
    "RENEWING": _made(3, ciaddr=OURS, src=OURS, dst=SERVER, dst_mac=GATEWAY),
    "REBINDING": _made(3, ciaddr=OURS, src=OURS),
    "INFORM": _made(8, ciaddr=OURS, src=OURS),
    "RELEASE": _made(7, (54, SERVER), ciaddr=OURS, src=OURS, dst=SERVER, dst_mac=GATEWAY),
}
LAST: dict[str, Callable[[], Request4]] = {"DECLINE": _made(4, (50, OURS), (54, SERVER))}
"""Asked behind all others: afterwards the peers have no address to give for a while."""

Twist = Callable[[Request4], object]


def _set(**fields: object) -> Twist:
    def change(request: Request4) -> None:
        for name, value in fields.items():
            setattr(request, name, value)

    return change


def _put(code: int, value: bytes) -> Twist:
    return lambda request: request.put(code, value)


def _add(code: int, value: bytes) -> Twist:
    return lambda request: request.options.append((code, value))


def _again(code: int) -> Twist:
    def change(request: Request4) -> None:
        request.options += [one for one in request.options if one[0] == code][:1]

    return change


def _first(code: int, value: bytes) -> Twist:
    return lambda request: request.options.insert(0, (code, value))


def _overloaded(request: Request4) -> None:
    moved = [one for one in request.options if one[0] in (50, 54)]
    request.options = [one for one in request.options if one[0] not in (50, 54)]
    request.options.append((52, b"\x01"))
    request.file = b"".join(bytes((c, len(v))) + v for c, v in moved) + b"\xff"


TWISTS: dict[str, Twist] = {
    "none": lambda _: None,
    "broadcast flag": _set(flags=0x8000),
    "flags that must be zero": _set(flags=0x0001),
    "seconds": _set(secs=0xFFFF),
    "no END": _set(tail=b"", pad_to=0),
    "octets behind END": _set(tail=b"\xff\x35\x01\x07"),
    "PAD before": _first(0, b""),
    "no padding": _set(pad_to=0),
    "1,400 octets": _set(pad_to=1400),
    "cut in its header": _set(cut=200),
    "cut behind the cookie": _set(cut=240),
    "option overruns": _set(tail=b"\x0c\x40ab", pad_to=0),
    "no cookie": _set(cookie=bytes(4)),
    "a reply (op 2)": _set(head=b"\x02\x01\x06\x00"),
    "op 0": _set(head=b"\x00\x01\x06\x00"),
    "htype 6": _set(head=b"\x01\x06\x06\x00"),
    "hlen 0": _set(head=b"\x01\x01\x00\x00"),
    "hlen 16": _set(head=b"\x01\x01\x10\x00"),
    "hops 3": _set(head=b"\x01\x01\x06\x03"),
    "relayed": _set(giaddr=OTHER),
    "another chaddr": _set(chaddr=STRANGER),
    "another source MAC": _set(src_mac=STRANGER),
    "another MAC in both": _set(src_mac=STRANGER, chaddr=STRANGER),
    "yiaddr and siaddr set": _set(yiaddr=OTHER, siaddr=OTHER),
    "ciaddr of ours": _set(ciaddr=OURS),
    "ciaddr of another": _set(ciaddr=OTHER),
    "ciaddr of elsewhere": _set(ciaddr=ELSEWHERE),
    "asks for ours": _put(50, OURS),
    "asks for another": _put(50, OTHER),
    "asks for elsewhere": _put(50, ELSEWHERE),
    "asks for 0.0.0.0": _put(50, NOBODY),
    "asks for 255.255.255.255": _put(50, ALL),
    "requested address of 3 octets": _put(50, b"\x0a\x10\x00"),
    "requested address of 5 octets": _put(50, OURS + b"\0"),
    "requested address twice": _again(50),
    "two requested addresses": _add(50, OTHER),
    "another server": _put(54, ELSEWHERE),
    "names us": _put(54, SERVER),
    "server of 3 octets": _put(54, b"\x0a\x10\x00"),
    "server of 0 octets": _put(54, b""),
    "server twice": _again(54),
    "two servers": _add(54, ELSEWHERE),
    "type twice": _again(53),
    "two types": _add(53, b"\x07"),
    "type of 2 octets": _put(53, b"\x01\x01"),
    "type of 0 octets": _put(53, b""),
    "BOOTP": lambda request: setattr(
        request, "options", [one for one in request.options if one[0] != 53]
    ),
    "type 0": _put(53, b"\0"),
    "an OFFER": _put(53, b"\x02"),
    "an ACK": _put(53, b"\x05"),
    "type 9 (FORCERENEW)": _put(53, b"\x09"),
    "type 10 (LEASEQUERY)": _put(53, b"\x0a"),
    "type 255": _put(53, b"\xff"),
    "type last": lambda request: request.options.append(request.options.pop(0)),
    "asks for nothing": lambda request: setattr(
        request, "options", [one for one in request.options if one[0] != 55]
    ),
    "empty request list": _put(55, b""),
    "request list of 255": _put(55, bytes(range(255))),
    "request list twice": _again(55),
    "size 0": _put(57, b"\0\0"),
    "size 576": _put(57, b"\x02\x40"),
    "size 65535": _put(57, b"\xff\xff"),
    "size of 1 octet": _put(57, b"\x40"),
    "client id": _put(61, b"\x01" + MAC),
    "client id of 0 octets": _put(61, b""),
    "client id of 1 octet": _put(61, b"\x01"),
    "client id of 255 octets": _put(61, b"\xff" * 255),
    "client id twice": lambda request: request.options.extend([(61, b"\x01" + MAC)] * 2),
    "two client ids": lambda request: request.options.extend([(61, b"\x01a"), (61, b"\x01b")]),
    "rapid commit": _put(80, b""),
    "rapid commit of 1 octet": _put(80, b"\0"),
    "relay agent option": _put(82, b"\x01\x02ab"),
    "subnet selection": _put(118, IPv4Address("10.99.0.0").packed),
    "host name": _put(12, b"vm1"),
    "host name that is none": _put(12, b"-\0\xff."),
    "FQDN": _put(81, b"\x01\0\0vm1.example.org"),
    "lease of a second": _put(51, b"\0\0\0\x01"),
    "lease of 2 octets": _put(51, b"\0\x01"),
    "PXE": _put(60, b"PXEClient:Arch:00007"),
    "user class": _put(77, b"iPXE"),
    "option 252": _put(252, b"x"),
    "option 0 with a length": _add(0, b""),
    "overloaded": _overloaded,
    "overload of 0": _put(52, b"\0"),
    "overload of 2 octets": _put(52, b"\x01\x01"),
    "no UDP checksum": _set(checksum="none"),
    "wrong UDP checksum": _set(checksum="wrong"),
    "TTL 1": _set(ttl=1),
    "more fragments": _set(fragment=0x2000),
    "second fragment": _set(fragment=0x0010),
    "from port 1068": _set(ports=(1068, 67)),
    "from port 67": _set(ports=(67, 67)),
    "from an address": _set(src=OURS),
    "from another's address": _set(src=OTHER),
    "from 0.0.0.0": _set(src=NOBODY),
    "to our address by broadcast MAC": _set(dst=SERVER, dst_mac=b"\xff" * 6),
    "to the server's MAC and address": _set(dst=SERVER, dst_mac=GATEWAY),
    "to another address": _set(dst=ELSEWHERE, dst_mac=GATEWAY),
    "to the subnet's broadcast": _set(dst=IPv4Address("10.16.255.255").packed),
    "to the broadcast address by unicast MAC": _set(dst=ALL, dst_mac=GATEWAY),
    "VID 0": _set(tag=b"\x81\0\0\0"),
    "VID 5": _set(tag=b"\x81\0\0\5"),
}


def made(kind: str, twists: tuple[str, ...], xid: int) -> bytes:
    """Return the frame."""
    request = {**KINDS, **LAST}[kind]()
    for twist in twists:
        TWISTS[twist](request)
    request.xid = xid
    return request.frame()


def drawn(rng: random.Random) -> tuple[str, tuple[str, ...]]:
    """Draw a kind and what is odd about it."""
    count = rng.choice((1, 1, 1, 1, 2))
    return rng.choice(list(KINDS)), tuple(sorted(rng.sample(list(TWISTS), count)))
