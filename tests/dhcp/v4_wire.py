"""DHCPv4 at the tap, written and read byte by byte: independent of the code under test."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from dhcp import v4
from guest.exchange import Exchange
from guest.frame import Packet, parse
from guest.network import OUR_MAC, GuestNetwork, Route

VECTORS = Path(__file__).parents[1] / "vectors" / "v4"
MAC = "02:00:5e:10:00:42"
ADDRESS = IPv4Address("10.244.1.7")
SERVER = IPv4Address("169.254.1.1")
COOKIE = b"\x63\x82\x53\x63"
DISCOVER, REQUEST, DECLINE, RELEASE, INFORM = 1, 3, 4, 7, 8
OFFER, ACK, NAK = 2, 5, 6
ANY = IPv4Address("0.0.0.0")
ALL = IPv4Address("255.255.255.255")
XID = 0x3D1D8A57

# A Calico pod: /32, gateway off-subnet and link-local.
CALICO = GuestNetwork(
    network="default",
    tap="tap0",
    mac=MAC,
    mtu=1450,
    ipv4=(IPv4Interface("10.244.1.7/32"),),
    routes=(Route(IPv4Network("0.0.0.0/0"), SERVER),),
    dns=(IPv4Address("10.96.0.10"),),
    search=("default.svc.cluster.local", "svc.cluster.local", "cluster.local"),
    hostname="vm1",
)
# A flat pod network: /24 with the gateway in it.
FLAT = replace(
    CALICO,
    ipv4=(IPv4Interface("10.244.1.7/24"),),
    routes=(Route(IPv4Network("0.0.0.0/0"), IPv4Address("10.244.1.1")),),
)


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ones_complement(octets: bytes) -> int:
    """RFC 1071, by integer arithmetic: 0xffff over data that includes its checksum."""
    octets += b"\0" * (len(octets) % 2)
    total = int.from_bytes(octets) % 0xFFFF
    return total or 0xFFFF


def tlv(*options: tuple[int, bytes]) -> bytes:
    return b"".join(bytes([code, len(value)]) + value for code, value in options)


def bootp(  # noqa: PLR0913  # one header field each
    *options: tuple[int, bytes],
    ciaddr: IPv4Address = ANY,
    giaddr: IPv4Address = ANY,
    chaddr: bytes = mac(MAC),
    flags: int = 0,
    xid: int = XID,
    secs: int = 3,
    sname: bytes = b"",
    file: bytes = b"",
    start: bytes = b"\x01\x01\x06\x00",
    end: bytes = b"\xff",
) -> bytes:
    """A BOOTP request as a client makes it."""
    head = start + struct.pack("!IHH", xid, secs, flags) + ciaddr.packed + ANY.packed * 2
    names = sname.ljust(64, b"\0") + file.ljust(128, b"\0")
    return head + giaddr.packed + chaddr.ljust(16, b"\0") + names + COOKIE + tlv(*options) + end


def packet(  # noqa: PLR0913  # one header field each
    payload: bytes,
    *,
    src: IPv4Address = ANY,
    dst: IPv4Address = ALL,
    src_mac: str = MAC,
    dst_mac: str = "ff:ff:ff:ff:ff:ff",
    dport: int = 67,
) -> Packet:
    return Packet(src_mac, dst_mac, src, dst, 64, 17, 68, dport, payload)


def ask(
    kind: int, *options: tuple[int, bytes], guest: GuestNetwork = CALICO, **fields: object
) -> Exchange:
    """Send one request and return what came of it; options after 53."""
    outer = {k: fields.pop(k) for k in ("src", "dst", "src_mac", "dst_mac") if k in fields}
    payload = bootp((53, bytes([kind])), *options, **fields)  # type: ignore[arg-type]  # fields of either half
    exchange = v4.answer(packet(payload, **outer), guest)  # type: ignore[arg-type]  # fields of either half
    assert exchange is not None
    return exchange


def prl(*codes: int) -> tuple[int, bytes]:
    return (55, bytes(codes))


@dataclass(frozen=True)
class Seen:
    """A reply as the guest's kernel and client take it apart; constructing it checks the frame."""

    frame: bytes

    def __post_init__(self) -> None:
        assert self.frame[12:14] == b"\x08\x00"
        assert mac(OUR_MAC) == self.frame[6:12]
        ip, udp = self.frame[14:34], self.frame[34:42]
        assert ip[0] == 0x45
        assert ones_complement(ip) == 0xFFFF, "IPv4 header checksum"
        assert struct.unpack("!H", ip[2:4])[0] == len(self.frame) - 14
        assert (ip[6] & 0x3F, ip[7], ip[8], ip[9]) == (0, 0, 64, 17)
        sport, dport, length, checksum = struct.unpack("!HHHH", udp)
        assert (sport, dport, length) == (67, 68, len(self.frame) - 34)
        assert checksum, "UDP checksum present"
        pseudo = ip[12:20] + struct.pack("!HH", 17, length)
        assert ones_complement(pseudo + self.frame[34:]) == 0xFFFF, "UDP checksum"
        assert self.bootp[:4] == b"\x02\x01\x06\x00"
        assert self.bootp[236:240] == COOKIE
        assert len(self.bootp) >= 300

    @property
    def dst_mac(self) -> str:
        return self.frame[:6].hex(":")

    @property
    def src(self) -> IPv4Address:
        return IPv4Address(self.frame[26:30])

    @property
    def dst(self) -> IPv4Address:
        return IPv4Address(self.frame[30:34])

    @property
    def datagram(self) -> int:
        """Bytes of the IP datagram: what option 57 limits."""
        return len(self.frame) - 14

    @property
    def bootp(self) -> bytes:
        return self.frame[42:]

    def address(self, at: int) -> IPv4Address:
        return IPv4Address(self.bootp[at : at + 4])

    @property
    def ciaddr(self) -> IPv4Address:
        return self.address(12)

    @property
    def yiaddr(self) -> IPv4Address:
        return self.address(16)

    @property
    def siaddr(self) -> IPv4Address:
        return self.address(20)

    @property
    def giaddr(self) -> IPv4Address:
        return self.address(24)

    @property
    def sname(self) -> bytes:
        return self.bootp[44:108].rstrip(b"\0")

    @property
    def file(self) -> bytes:
        return self.bootp[108:236].rstrip(b"\0")

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Option numbers of the options field as they come."""
        return tuple(code for code, _ in walk(self.bootp[240:]))

    @cached_property
    def parts(self) -> list[tuple[int, bytes]]:
        """Every part of every option, over options, file and sname (RFC 3396)."""
        parts = walk(self.bootp[240:])
        overload = dict(parts).get(52, b"\0")[0]
        if overload & 1:
            parts += walk(self.bootp[108:236])
        if overload & 2:
            parts += walk(self.bootp[44:108])
        return parts

    @cached_property
    def options(self) -> dict[int, bytes]:
        """Every option, its parts joined."""
        joined: dict[int, bytes] = {}
        for code, value in self.parts:
            joined[code] = joined.get(code, b"") + value
        return joined


def walk(field: bytes) -> list[tuple[int, bytes]]:
    """Read one field of options, which must be perfect: an end, and only zeros after it."""
    chunks = []
    at = 0
    while field[at] != 255:
        length = field[at + 1]
        value = field[at + 2 : at + 2 + length]
        assert len(value) == length
        chunks.append((field[at], value))
        at += 2 + length
    assert not field[at + 1 :].strip(b"\0")
    return chunks


def seen(exchange: Exchange) -> Seen:
    assert exchange.frame, exchange.note
    assert parse(exchange.frame) is not None
    reply = Seen(exchange.frame)
    kinds = {b"\x02": "OFFER", b"\x05": "ACK", b"\x06": "NAK"}
    assert kinds[reply.options[53]] == exchange.reply
    return reply


def routes(value: bytes) -> list[tuple[str, str]]:
    """Read option 121 or 249 (RFC 3442)."""
    read = []
    while value:
        width, octets = value[0], (value[0] + 7) // 8
        net = IPv4Address(value[1 : 1 + octets].ljust(4, b"\0"))
        gateway = IPv4Address(value[1 + octets : 5 + octets])
        read.append((f"{net}/{width}", str(gateway)))
        value = value[5 + octets :]
    return read


def domains(value: bytes) -> list[str]:
    """Read option 119 (RFC 3397), following compression pointers backwards only."""
    read, at = [], 0
    while at < len(value):
        labels, here, after = [], at, None
        while value[here]:
            if value[here] >= 0xC0:
                target = struct.unpack_from("!H", value, here)[0] & 0x3FFF
                assert target < here
                after = here + 2 if after is None else after
                here = target
                continue
            labels.append(value[here + 1 : here + 1 + value[here]].decode())
            here += 1 + value[here]
        read.append(".".join(labels))
        at = here + 1 if after is None else after
    return read


def vector(name: str) -> tuple[bytes, bool]:
    """A captured frame, and whether its UDP checksum was left to the hardware."""
    head, *lines = (VECTORS / f"{name}.hex").read_text().splitlines()
    assert head.startswith("# ")
    return bytes.fromhex("".join(lines)), "UDP checksum partial" in head


def refused(exchange: Exchange | None, why: str) -> bool:
    """Whether a message gets nothing and is named with what is wrong with it."""
    assert exchange is not None
    return exchange.request == "malformed" and silent(exchange, why)


def silent(exchange: Exchange | None, why: str) -> bool:
    """Whether nothing is sent and the operator is told why."""
    assert exchange is not None
    return not exchange.frame and not exchange.reply and why in exchange.note
