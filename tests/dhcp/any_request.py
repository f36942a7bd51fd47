"""Requests of DHCP by hypothesis: few meanings in many words, and some that are broken."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

from dhcp import v4, v6
from guest.ethernet import UDP, mac_bytes
from guest.frame import Packet
from guest.network import OUR_IPV4
from tests.samples import GUEST

MAC = mac_bytes(GUEST.mac)


def packet4(payload, **ends):
    said = {"src": IPv4Address(0), "dst": v4.EVERYBODY, "dst_mac": "ff:ff:ff:ff:ff:ff"} | ends
    return Packet(
        **{"src_mac": GUEST.mac} | said,
        hop_limit=64,
        protocol=UDP,
        sport=68,
        dport=67,
        payload=payload,
    )


def packet6(payload, **ends):
    said = {"src": IPv6Address("fe80::1"), "dst": IPv6Address("ff02::1:2")} | ends
    ends = {"src_mac": GUEST.mac, "dst_mac": "33:33:00:01:00:02"} | said
    return Packet(**ends, hop_limit=1, protocol=UDP, sport=546, dport=547, payload=payload)


def few(*values):
    return st.sampled_from(values)


ADDRESSES4 = few(
    bytes(4),
    *(IPv4Address(text).packed for text in ("10.244.1.5", "10.0.0.6", "10.9.9.9")),
    OUR_IPV4.packed,
    IPv4Address("10.244.1.1").packed,
)
VALUES4 = {
    50: ADDRESSES4,
    53: few(*(bytes((kind,)) for kind in (1, 1, 3, 3, 4, 7, 8, 2))),
    54: ADDRESSES4,
    55: st.lists(st.integers(0, 255), max_size=12).map(bytes) | few(b"BC", b"\x03y\xf9"),
    57: few(b"\x02\x40", b"\x05\xdc", b"\0\0", b"\xff\xff"),
    60: few(b"", b"PXEClient:Arch:00007", b"HTTPClient", b"HTTPClient:Arch:00016", b"MSFT", b"PXE"),
    61: few(b"\x01" + MAC, b"\xff\0\0\0\x01", b""),
    77: few(b"iPXE", b"\x04iPXE", b"foo"),
    80: st.just(b""),
    93: few(b"\0\x07", b"\0\x10\0\x07", b"\0"),
    108: st.just(b""),
    175: few(b"", b"\xb1\x01"),
    12: few(b"one", b"another"),
    52: few(b"\x01", b"\x02", b"\x03"),
    0: st.just(b""),
}  # fmt: skip
OPTION4 = few(*VALUES4).flatmap(
    lambda code: st.tuples(st.just(code), VALUES4[code] | st.binary(max_size=4))
)


def encoded4(options):
    return b"".join(bytes((code, len(value))) + value if code else b"\0" for code, value in options)


@st.composite
def requests4(draw):
    """DHCPv4 requests of few meanings in many words, and some that are broken."""
    options = draw(st.lists(OPTION4, max_size=8))
    if draw(st.integers(0, 5)):
        options.insert(draw(st.integers(0, len(options))), (53, draw(VALUES4[53])))
    header = b"\x01\x01\x06" + draw(few(b"\0", b"\x01")) + draw(st.binary(min_size=6, max_size=6))
    header += draw(few(b"\0\0", b"\x80\0", b"\0\x01")) + draw(ADDRESSES4) + draw(ADDRESSES4) * 2
    header += draw(few(bytes(4), bytes(4), b"\x0a\0\0\x01"))
    header += draw(few(MAC, MAC, b"\x02" + MAC[1:])) + draw(few(bytes(10), b"\x01" * 10))
    fields = [
        draw(
            few(
                bytes(size),
                encoded4([(12, b"x"), (50, b"\x0a\0\0\x06")]) + b"\xff" + bytes(size - 10),
            )
        )
        for size in (64, 128)
    ]
    end = draw(few(b"\xff", b"\xff" + bytes(60), b"", b"\xff\x32\x04"))
    payload = header + b"".join(fields) + b"\x63\x82\x53\x63" + encoded4(options) + end
    return packet4(
        payload[: draw(few(len(payload), len(payload), len(payload), len(payload) - 3))],
        src=draw(few(IPv4Address(0), IPv4Address("10.244.1.5"))),
        dst=draw(few(v4.EVERYBODY, v4.EVERYBODY, IPv4Address("10.244.1.1"))),
        src_mac=draw(few(GUEST.mac, GUEST.mac, GUEST.mac, "02:00:00:00:00:09")),
    )  # fmt: skip


DUID = b"\0\x03\0\x01" + MAC


def option6(code, data):
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


ADDRESSES6 = few(
    *(IPv6Address(text).packed for text in ("::", "fd00:10:244:1::5", "fd00::6", "fd99::1"))
)
IA_ADDRESSES = st.lists(
    st.tuples(ADDRESSES6, few(bytes(8), b"\xff" * 8)).map(lambda said: option6(5, b"".join(said))),
    max_size=3,
).map(b"".join)
IA_PREFIXES = st.lists(
    few(*(f"{length:02x}" + bits for length in (0, 56, 60) for bits in ("", "fd64000700000000")))
    .map(bytes.fromhex)
    .map(lambda said: option6(26, bytes(8) + said.ljust(17, b"\0"))),
    max_size=2,
).map(b"".join)
VALUES6 = {
    1: few(DUID, DUID, DUID + b"\x01"),
    2: few(v6.server_duid(GUEST), DUID),
    3: st.tuples(few(bytes(4), b"abcd"), few(bytes(8), b"\xff" * 8), IA_ADDRESSES).map(b"".join),
    4: st.tuples(few(bytes(4)), IA_ADDRESSES).map(b"".join),
    6: st.lists(few(23, 24, 31, 32, 39, 56, 59, 60, 16, 82, 83, 103, 17, 999), max_size=6).map(
        lambda codes: b"".join(code.to_bytes(2, "big") for code in codes)
    ),
    8: st.binary(min_size=2, max_size=2),
    14: st.just(b""),
    15: few(b"\0\x04iPXE", b"\0\x01x"),
    16: few(b"HTTPClient", b"HTTPClient:1", b"PXEClient", b"x").map(b"\0\0\x01\x37\0\x0a".__add__),
    25: st.tuples(few(b"\0\0\0\x01", bytes(4)), few(bytes(8)), IA_PREFIXES).map(b"".join),
    39: few(b"\0", b"\x01\x03vm1", b"\x05"),
    61: few(b"\0\x10", b"\0\x07\0\x10"),
}  # fmt: skip
OPTION6 = few(*VALUES6).flatmap(
    lambda code: st.tuples(st.just(code), VALUES6[code] | st.binary(max_size=3))
)


@st.composite
def requests6(draw):
    """DHCPv6 messages of few meanings in many words, and some that are broken."""
    options = draw(st.lists(OPTION6, max_size=6))
    if draw(st.integers(0, 5)):
        options.append((1, DUID))
    kind = draw(few(1, 1, 3, 4, 5, 6, 8, 9, 11, 2))
    if kind in (3, 5, 8, 9) and draw(st.booleans()):
        options.append((2, v6.server_duid(GUEST)))
    octets = b"".join(option6(*one) for one in draw(st.permutations(options)))
    payload = bytes((kind,)) + draw(st.binary(min_size=3, max_size=3)) + octets
    return packet6(
        payload[: draw(few(len(payload), len(payload), len(payload), len(payload) - 1))],
        src=draw(few(IPv6Address("fe80::1"), IPv6Address("fe80::1"), IPv6Address("fd00::6"))),
        dst=draw(few(IPv6Address("ff02::1:2"), IPv6Address("ff02::1:2"), IPv6Address("fe80::9"))),
        src_mac=draw(few(GUEST.mac, GUEST.mac, GUEST.mac, "02:00:00:00:00:09")),
    )
