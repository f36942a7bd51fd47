"""DHCPv6 on the wire, for tests: requests put together octet by octet, replies read back."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address, IPv6Interface
from pathlib import Path

from dhcp import v6
from guest.exchange import Exchange
from guest.frame import Packet, parse
from guest.network import GuestNetwork

VECTORS = Path(__file__).parent.parent / "vectors" / "v6"
GUEST = GuestNetwork(
    network="default",
    tap="tap0",
    mac="02:00:00:00:77:42",
    mtu=1500,
    uid="6ad1",
    ipv6=(IPv6Interface("fd77::42/128"),),
    dns=(IPv6Address("fd77::53"),),
    search=("cluster.local", "svc.cluster.local"),
    hostname="vm1",
    domain="example.org",
    fqdn_domain="example.org",
    ntp=(IPv6Address("fd77::123"),),
)
SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY = range(1, 8)
RELEASE, DECLINE, RECONFIGURE, INFORMATION_REQUEST, RELAY_FORW, RELAY_REPL = range(8, 14)
INFINITE = 0xFFFFFFFF
_REPLIES = {ADVERTISE: "ADVERTISE", REPLY: "REPLY"}
_STATUS = ("Success", "UnspecFail", "NoAddrsAvail", "NoBinding", "NotOnLink", "", "NoPrefixAvail")


def option(code: int, data: bytes = b"") -> bytes:
    return struct.pack("!HH", code, len(data)) + data


CLIENT_ID = option(1, bytes.fromhex("000300010200deadbeef"))
SERVER_ID = option(2, v6.server_duid(GUEST))


def oro(*codes: int) -> bytes:
    return option(6, struct.pack(f"!{len(codes)}H", *codes))


def address(text: str, preferred: int = 0, valid: int = 0, inner: bytes = b"") -> bytes:
    return option(5, IPv6Address(text).packed + struct.pack("!II", preferred, valid) + inner)


def ia_na(iaid: int, *addresses: str) -> bytes:
    return option(3, struct.pack("!III", iaid, 0, 0) + b"".join(map(address, addresses)))


def ia_ta(iaid: int, *addresses: str) -> bytes:
    return option(4, struct.pack("!I", iaid) + b"".join(map(address, addresses)))


def ia_pd(iaid: int, *prefixes: str) -> bytes:
    """An IA_PD that names prefixes, such as fd00::/56; ::/56 is a wish for that length."""
    return option(25, struct.pack("!III", iaid, 0, 0) + b"".join(map(_prefix, prefixes)))


def _prefix(text: str) -> bytes:
    address, _, length = text.partition("/")
    return option(26, struct.pack("!IIB", 0, 0, int(length or 56)) + IPv6Address(address).packed)


def message(kind: int, *options: bytes) -> bytes:
    return bytes([kind]) + b"\xab\xcd\xef" + b"".join(options)


def packet(payload: bytes, **changes: object) -> Packet:
    """What frame.parse makes of a client's multicast; changes are fields of Packet."""
    honest = Packet(
        src_mac=GUEST.mac,
        dst_mac="33:33:00:01:00:02",
        src=IPv6Address("fe80::ff:fe00:7742"),
        dst=IPv6Address("ff02::1:2"),
        hop_limit=1,
        protocol=17,
        sport=546,
        dport=547,
        payload=payload,
    )
    return honest._replace(**changes)


def vectors() -> list[str]:
    return sorted(path.stem for path in VECTORS.glob("*.hex"))


def vector(name: str) -> Packet:
    """A stored frame, taken apart; its checksum may have been left to the hardware."""
    origin, octets = (VECTORS / f"{name}.hex").read_text().split("\n", 1)
    taken = parse(bytes.fromhex(octets), partial_checksum=origin.endswith("partial"))
    assert taken is not None
    return taken


def ask(guest: GuestNetwork, kind: int, *options: bytes, **changes: object) -> Exchange | None:
    return v6.answer(packet(message(kind, *options), **changes), guest)


def told(guest: GuestNetwork, kind: int, *options: bytes, **changes: object) -> list[str]:
    """The answer read back, without the two identifiers that every answer starts with."""
    exchange = ask(guest, kind, *options, **changes)
    assert exchange is not None
    lines = spoken(exchange)
    assert exchange.reply == lines[0].split()[0]
    return [line for line in lines[1:] if not line.startswith(("1 ", "2 "))]


def refused(exchange: Exchange | None, why: str = "DHCPv6") -> bool:
    """Whether a message gets nothing and is named with what is wrong with it."""
    assert exchange is not None
    return exchange.request == "malformed" and not exchange.frame and why in exchange.note


def spoken(exchange: Exchange) -> list[str]:
    """The DHCPv6 message in a reply frame, one line for the header and one per option."""
    reply = parse(exchange.frame)  # lengths, next headers and the full checksum
    assert reply is not None
    assert (reply.sport, reply.dport) == (547, 546)
    kind, transaction = reply.payload[0], reply.payload[1:4]
    return [f"{_REPLIES[kind]} {transaction.hex()}", *map(_line, walk(reply.payload[4:]))]


def walk(area: bytes) -> list[tuple[int, bytes]]:
    """Options of an area, to the octet."""
    found = []
    while area:
        code, length = struct.unpack_from("!HH", area)
        assert len(area) >= 4 + length
        found.append((code, area[4 : 4 + length]))
        area = area[4 + length :]
    return found


def _line(code_and_data: tuple[int, bytes]) -> str:
    code, data = code_and_data
    if code in (3, 25):
        iaid, t1, t2 = struct.unpack_from("!III", data)
        name = "IA_NA" if code == 3 else "IA_PD"
        times = "" if (t1, t2) == (0, 0) else f" T1 {_time(t1)} T2 {_time(t2)}"
        return f"{name} {iaid:#x}{times}: {_inner(data[12:])}"
    if code == 4:
        return f"IA_TA {int.from_bytes(data[:4], 'big'):#x}: {_inner(data[4:])}"
    if code == 13:
        return _inner(option(code, data))
    return f"{code} {data.hex()}".rstrip()


def _inner(area: bytes) -> str:
    parts = []
    for code, data in walk(area):
        if code == 5:
            preferred, valid = struct.unpack("!II", data[16:])  # no options inside
            parts.append(f"{IPv6Address(data[:16])} {_time(preferred)}/{_time(valid)}")
        elif code == 26:
            preferred, valid, length = struct.unpack("!IIB", data[:9])
            prefix = f"{IPv6Address(data[9:])}/{length}"  # no options inside
            parts.append(f"{prefix} {_time(preferred)}/{_time(valid)}")
        else:
            assert code == 13
            data[2:].decode()
            parts.append(_STATUS[int.from_bytes(data[:2], "big")])
    return ", ".join(parts)


def _time(seconds: int) -> str:
    return "inf" if seconds == INFINITE else str(seconds)
