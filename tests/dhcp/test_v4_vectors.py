"""Requests of real clients, byte for byte as they arrived, and the whole reply to each."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from dhcp import v4
from guest.frame import parse
from tests.dhcp.v4_wire import ADDRESS, ALL, ANY, CALICO, MAC, SERVER, VECTORS, mac, seen, vector

NAMES = sorted(path.stem for path in VECTORS.glob("*.hex"))
GUEST = replace(
    CALICO, lease=20, domain="example.org", ntp=(IPv4Address("10.0.0.123"),), ipv6_only=1800
)
CLIENT_IDS = {
    "networkd": bytes.fromhex("ff0f4181ae00020000ab110033bdebf95e192c"),
    "networkmanager": b"\x01" + mac(MAC),
    "udhcpc": b"\x01" + mac(MAC),
    "windows": b"\x01" + mac(MAC),
}
ASKED = {
    "dhclient": {3, 6, 12, 15, 26, 28, 42, 119, 121},
    "dhcpcd": {3, 6, 26, 28, 119, 121},
    "networkd": {3, 6, 12, 15, 26, 42, 119, 121},
    "networkmanager": {3, 6, 12, 15, 26, 28, 42, 119, 121, 249},
    "udhcpc": {3, 6, 12, 15, 26, 28, 42, 119, 121},
    "windows": {3, 6, 15, 119, 121, 249},
}
VALUES = {
    3: SERVER.packed,
    6: bytes([10, 96, 0, 10]),
    12: b"vm1",
    15: b"example.org",
    26: (1450).to_bytes(2),
    42: bytes([10, 0, 0, 123]),
    119: b"\x07default\x03svc\x07cluster\x05local\x00\xc0\x08\xc0\x0c",
    121: bytes([32, 169, 254, 1, 1, 0, 0, 0, 0, 0, 169, 254, 1, 1]),
    249: bytes([32, 169, 254, 1, 1, 0, 0, 0, 0, 0, 169, 254, 1, 1]),
}
LEASE = {
    51: (20).to_bytes(4),
    58: (10).to_bytes(4),
    59: (17).to_bytes(4),
    1: b"\xff\xff\xff\xff",
}
STATES = {
    "selecting": "SELECTING",
    "init-reboot": "INIT-REBOOT",
    "renewing": "RENEWING",
    "discover": "",
}
LEASED = [name for name in NAMES if name.partition("-")[2] in STATES]


def answer(frame, guest=GUEST, *, partial=False):
    packet = parse(frame, partial_checksum=partial)
    return packet and v4.answer(packet, guest)


def answer_vector(name, guest=GUEST):
    frame, partial = vector(name)
    return answer(frame, guest, partial=partial)


def test_every_client_is_here():
    assert {name.partition("-")[0] for name in NAMES} == ASKED.keys()


@pytest.mark.parametrize("name", LEASED)
def test_the_whole_reply_to(name):
    client, _, state = name.partition("-")
    frame, partial = vector(name)
    exchange = answer(frame, partial=partial)
    reply = seen(exchange)
    renews = state == "renewing"
    assert exchange.reply == ("OFFER" if state == "discover" else "ACK")
    assert exchange.note == ", ".join(filter(None, ["10.244.1.7", STATES[state]]))
    assert (reply.dst_mac, reply.src, reply.dst) == (MAC, SERVER, ADDRESS)
    assert reply.bootp[4:8] == frame[46:50]  # xid
    assert (reply.ciaddr, reply.yiaddr) == (ADDRESS if renews else ANY, ADDRESS)
    assert (reply.siaddr, reply.giaddr, reply.sname, reply.file) == (ANY, ANY, b"", b"")
    expected = {53: b"\x02" if state == "discover" else b"\x05", 54: SERVER.packed}
    expected |= LEASE | {code: VALUES[code] for code in ASKED[client] & VALUES.keys()}
    if client in CLIENT_IDS:
        expected[61] = CLIENT_IDS[client]
    assert reply.options == expected


@pytest.mark.parametrize("name", [name for name in LEASED if not name.endswith("discover")])
def test_a_stale_lease_is_refused_to(name):
    """INIT-REBOOT after a restore, or a renewal: NAK, and the client starts over."""
    moved = replace(GUEST, ipv4=(IPv4Interface("10.244.1.8/32"),))
    exchange = answer_vector(name, moved)
    reply = seen(exchange)
    assert (exchange.reply, reply.dst, reply.yiaddr) == ("NAK", ALL, ANY)
    assert reply.options[54] == SERVER.packed
    assert reply.options.get(61) == CLIENT_IDS.get(name.partition("-")[0])


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("inform")])
def test_inform_of(name):
    exchange = answer_vector(name)
    reply = seen(exchange)
    assert (exchange.reply, reply.dst, reply.ciaddr, reply.yiaddr) == ("ACK", ADDRESS, ADDRESS, ANY)
    assert not {51, 58, 59} & reply.options.keys()
    assert {3, 6} & reply.options.keys()


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("release")])
def test_release_of(name):
    exchange = answer_vector(name)
    assert (exchange.request, exchange.frame, exchange.note) == ("RELEASE", b"", "10.244.1.7")


def test_a_28_octet_broadcast_is_sent_where_there_is_one():
    flat = replace(GUEST, ipv4=(IPv4Interface("10.244.1.7/24"),))
    assert seen(answer_vector("dhclient-discover", flat)).options[28] == bytes([10, 244, 1, 255])


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_cut_short_anywhere_is_silence(name):
    frame, partial = vector(name)
    assert all(parse(frame[:n], partial_checksum=partial) is None for n in range(len(frame)))


@pytest.mark.parametrize("name", NAMES)
def test_a_message_cut_short_before_its_type_is_silence(name):
    """The truncated twin that has honest lengths and checksums: only DHCP can tell."""
    frame, partial = vector(name)
    packet = parse(frame, partial_checksum=partial)
    for n in range(243):  # the first option is 53
        cut = v4.answer(packet._replace(payload=packet.payload[:n]), GUEST)
        assert not cut.frame
        assert cut.note


@pytest.mark.parametrize("name", NAMES)
def test_a_message_without_its_end_option_is_read_like_one_with_it(name):
    frame, partial = vector(name)
    packet = parse(frame, partial_checksum=partial)
    end = len(packet.payload.rstrip(b"\0")) - 1  # option 255
    assert packet.payload[end] == 255
    for padding in (b"", bytes(60)):
        cut = packet._replace(payload=packet.payload[:end] + padding)
        assert v4.answer(cut, GUEST) == answer_vector(name)


PARTIAL = [name for name in NAMES if vector(name)[1]]


@pytest.mark.parametrize("name", PARTIAL)
def test_a_checksum_left_to_the_hardware_is_taken_on_the_kernels_word_only(name):
    frame, _ = vector(name)
    assert parse(frame) is None
    assert parse(frame, partial_checksum=True) is not None


@pytest.mark.parametrize("name", NAMES)
def test_another_machines_request_is_silence(name):
    exchange = answer_vector(name, replace(GUEST, mac="02:00:00:00:00:99"))
    assert not exchange.frame
    assert "another MAC" in exchange.note
