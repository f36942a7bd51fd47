"""No bytes raise, no reply is larger than the client takes, every reply re-parses to itself."""

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from dhcp import v4
from dhcp import v4_option_codec as codec
from guest.exchange import Exchange
from guest.frame import parse
from guest.network import Boot, Route
from tests.dhcp.v4_wire import CALICO, VECTORS, bootp, packet, seen, tlv, vector

FRAMES = [vector(path.stem)[0] for path in sorted(VECTORS.glob("*.hex"))]
KINDS = {"DISCOVER", "REQUEST", "DECLINE", "RELEASE", "INFORM", "BOOTP", "malformed"}

addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
known = st.sampled_from([50, 52, 53, 54, 55, 57, 60, 61, 77, 80, 82, 93, 116])
options = st.lists(st.tuples(known | st.integers(1, 254), st.binary(max_size=255)), max_size=12)
texts = st.text(max_size=300)
guests = st.builds(
    lambda **changes: replace(CALICO, **changes),
    mtu=st.integers(0, 9500),
    ipv4=st.lists(st.tuples(addresses, st.integers(0, 32)).map(IPv4Interface), min_size=1).map(
        tuple
    ),
    routes=st.lists(
        st.builds(
            Route,
            st.tuples(addresses, st.integers(0, 32)).map(lambda p: IPv4Network(p, strict=False)),
            st.none() | addresses,
        ),
        max_size=60,
    ).map(tuple),
    lease=st.none() | st.integers(0, 2**33),
    hostname=texts,
    domain=texts,
    search=st.lists(texts | st.just("svc.cluster.local"), max_size=40).map(tuple),
    dns=st.lists(addresses, max_size=100).map(tuple),
    ntp=st.lists(addresses, max_size=100).map(tuple),
    boot=st.builds(
        Boot,
        file=texts,
        server=texts | addresses.map(str),
        by_arch=st.lists(st.tuples(st.integers(0, 20), texts), max_size=4).map(tuple),
    ),
    private=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=600)), max_size=6).map(
        tuple
    ),
    captive_portal=texts,
    ipv6_only=st.none() | st.integers(0, 2**33),
)


def check(exchange: Exchange | None, takes: int, mtu: int) -> None:
    """What holds of every answer."""
    if exchange is None:
        return
    assert exchange.request in KINDS
    assert bool(exchange.frame) == bool(exchange.reply)
    if not exchange.frame:
        assert exchange.note
        return
    reply = seen(exchange)
    assert reply.datagram <= max(328, min(max(576, takes), mtu))
    assert reply.order[:2] in ((53, 54), (53, 52))
    assert {53, 54} <= reply.options.keys()


@given(st.binary(max_size=700))
def test_any_payload(payload):
    exchange = v4.answer(packet(payload), CALICO)
    assert exchange.request == "malformed"
    check(exchange, 0, 0)


@given(st.binary(max_size=400), st.integers(0, 255))
def test_any_options_after_a_good_header(octets, kind):
    payload = bootp((53, bytes([kind])), end=octets)
    check(v4.answer(packet(payload), CALICO), 65535, CALICO.mtu)


@given(st.binary(max_size=1600), st.booleans())
def test_any_frame(octets, partial):
    parsed = parse(octets, partial_checksum=partial)
    if parsed is not None:
        v4.answer(parsed, CALICO)


@given(
    st.sampled_from(FRAMES),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
    st.integers(0, 400),
    st.binary(max_size=40),
)
def test_mutations_of_real_frames(frame, changes, cut, inserted):
    """The checksum is left to the hardware, so that mutations get as far as the options."""
    octets = bytearray(frame)
    for at, value in changes:
        if at < len(octets):
            octets[at] = value
    octets[cut:cut] = inserted
    parsed = parse(bytes(octets), partial_checksum=True)
    if parsed is not None and parsed.dport == 67:
        check(v4.answer(parsed, CALICO), 65535, CALICO.mtu)


@given(st.sampled_from(FRAMES), st.data())
def test_mutated_messages_with_honest_lengths(frame, data):
    payload = bytearray(parse(frame, partial_checksum=True).payload)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(236, len(payload) - 1))
        payload[at] = data.draw(st.integers(0, 255))
    check(v4.answer(packet(bytes(payload)), CALICO), 65535, CALICO.mtu)


@given(
    guests,
    st.sampled_from([1, 3, 8]),
    st.none() | st.binary(max_size=255),
    st.none() | st.integers(0, 65535),
    options.map(lambda found: [(c, v) for c, v in found if c not in (50, 52, 53, 54, 55, 57, 80)]),
)
def test_any_guest_any_request_list_any_size(guest, kind, asked, takes, more):
    chosen = [(53, bytes([kind])), (50, guest.ipv4[0].ip.packed)]
    chosen += [] if asked is None else [(55, asked)]
    chosen += [] if takes is None else [(57, struct.pack("!H", takes))]
    ciaddr = guest.ipv4[0].ip if kind == 8 else IPv4Address(0)
    payload = bootp(*chosen, *more, ciaddr=ciaddr)
    exchange = v4.answer(packet(payload), guest)
    check(exchange, takes or 576, guest.mtu)
    assert exchange is not None
    assert exchange.frame or kind == 8
    assert exchange == v4.answer(packet(payload), guest)


@given(options, st.integers(0, 1500), st.booleans())
def test_packed_options_come_back(wanted, room, free):
    wanted = [(53, b"\x01"), *{code: v for code, v in wanted if code not in (52, 53)}.items()]
    packed = codec.pack(wanted, max(room, 8), fields_free=free)
    field = tlv(*packed.options) + b"\xff"
    assert len(field) <= max(room, 8)
    assert len(packed.file) <= 128
    assert len(packed.sname) <= 64
    back = codec.decode(field, packed.file, packed.sname)
    back.pop(52, None)
    assert back == {code: value for code, value in wanted if code not in packed.dropped}


@given(st.binary(max_size=600), st.binary(max_size=128), st.binary(max_size=64))
def test_decoding_never_raises_nor_grows(octets, file, sname):
    found = codec.decode(octets, file, sname)
    assert sum(map(len, found.values())) <= len(octets + file + sname)


def test_the_largest_message_is_read_without_delay():
    """64 KiB of empty options: one pass."""
    payload = bootp((53, b"\x01"), end=b"\x01\x00" * 32000 + b"\xff")
    assert v4.answer(packet(payload), CALICO).reply == "OFFER"
