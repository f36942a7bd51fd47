"""Frames of a hostile guest: what is read, and everything that is silence."""

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guest.ethernet import ICMPV6, UDP, checksum, mac_bytes, mac_text
from guest.frame import Packet, parse

GUEST = "02:00:5e:10:00:42"
TO = "ff:ff:ff:ff:ff:ff"
V4 = IPv4Address("10.244.1.7"), IPv4Address("255.255.255.255")
V6 = IPv6Address("fe80::42"), IPv6Address("ff02::1:2")


def sum16(octets: bytes) -> int:
    """The Internet checksum by integer arithmetic, independent of the code under test."""
    folded = int.from_bytes(octets + b"\0" * (len(octets) % 2)) % 0xFFFF
    return ~folded & 0xFFFF


def ether(ethertype, packet, tags=b""):
    return (
        bytes.fromhex((TO + GUEST).replace(":", "")) + tags + struct.pack("!H", ethertype) + packet
    )


def udp(ends, payload, *, length=None, check=None, sport=68, dport=67):  # noqa: PLR0913  # one header field each
    length = 8 + len(payload) if length is None else length
    head = struct.pack("!HHHH", sport, dport, length, 0)
    pseudo = ends[0].packed + ends[1].packed + struct.pack("!II", length, UDP)
    if check is None:
        check = sum16(pseudo + head + payload) or 0xFFFF
    return head[:6] + struct.pack("!H", check) + payload


def partial(ends, payload):
    """As a virtio guest leaves it: the checksum of the pseudo header, not complemented."""
    pseudo = ends[0].packed + ends[1].packed + struct.pack("!II", 8 + len(payload), UDP)
    return udp(ends, payload, check=~sum16(pseudo) & 0xFFFF)


def ipv4(segment, *, total=None, fragment=0, protocol=UDP, options=b"", first=None, check=None):  # noqa: PLR0913  # one header field each
    size = 20 + len(options)
    first = 0x40 | size // 4 if first is None else first
    total = size + len(segment) if total is None else total
    head = struct.pack("!BBHHHBBH", first, 0, total, 7, fragment, 64, protocol, 0)
    head += V4[0].packed + V4[1].packed + options
    good = sum16(head) if check is None else check
    return head[:10] + struct.pack("!H", good) + head[12:] + segment


def ipv6(segment, *, length=None, header=UDP, first=0x60):
    length = len(segment) if length is None else length
    head = struct.pack("!B3xHBB", first, length, header, 255)
    return head + V6[0].packed + V6[1].packed + segment


def icmpv6(message, ends=V6, *, check=None):
    pseudo = ends[0].packed + ends[1].packed + struct.pack("!II", len(message), ICMPV6)
    check = sum16(pseudo + message) if check is None else check
    return message[:2] + struct.pack("!H", check) + message[4:]


FOUR = ether(0x0800, ipv4(udp(V4, b"hello")))
SIX = ether(0x86DD, ipv6(udp(V6, b"hello", dport=547)))
RS = ether(0x86DD, ipv6(icmpv6(bytes([133, 0, 0, 0, 0, 0, 0, 0])), header=ICMPV6))


def test_udp_in_ipv4_is_read_whole():
    assert parse(FOUR) == Packet(GUEST, TO, *V4, 64, UDP, 68, 67, b"hello")


def test_udp_in_ipv6_is_read_whole():
    assert parse(SIX) == Packet(GUEST, TO, *V6, 255, UDP, 68, 547, b"hello")


def test_icmpv6_is_read_with_its_header_and_without_ports():
    packet = parse(RS)
    assert (packet.protocol, packet.sport, packet.dport) == (ICMPV6, 0, 0)
    assert packet.payload == RS[54:]


def test_an_icmpv6_message_of_four_octets_is_read():
    """Its type decides whether that is enough, not the frame."""
    frame = ether(0x86DD, ipv6(icmpv6(bytes([133, 0, 0, 0])), header=ICMPV6))
    assert len(parse(frame).payload) == 4


@pytest.mark.parametrize("payload", [b"", b"x", b"odd", bytes(1400)], ids=len)
@pytest.mark.parametrize("family", [4, 6])
def test_payload_of(payload, family):
    wrap = {4: (0x0800, ipv4, V4), 6: (0x86DD, ipv6, V6)}
    ethertype, ip, ends = wrap[family]
    assert parse(ether(ethertype, ip(udp(ends, payload)))).payload == payload


@pytest.mark.parametrize("frame", [FOUR, SIX, RS], ids=["IPv4", "IPv6", "ICMPv6"])
def test_ethernet_padding_is_no_payload(frame):
    assert parse(frame + bytes(30)) == parse(frame)


def test_octets_between_udp_and_ip_length_are_no_payload():
    assert parse(ether(0x0800, ipv4(udp(V4, b"hello") + b"slack"))).payload == b"hello"
    assert parse(ether(0x86DD, ipv6(udp(V6, b"hello") + b"slack"))).payload == b"hello"


def test_ipv4_options_are_skipped():
    frame = ether(0x0800, ipv4(udp(V4, b"hello"), options=b"\x94\x04\0\0"))
    assert parse(frame) == parse(FOUR)


def test_dont_fragment_is_no_fragment():
    assert parse(ether(0x0800, ipv4(udp(V4, b"hello"), fragment=0x4000))) == parse(FOUR)


PARTIAL = {
    "IPv4": (ether(0x0800, ipv4(partial(V4, b"hello"))), FOUR),
    "IPv6": (ether(0x86DD, ipv6(partial(V6, b"hello"))), None),
    "ICMPv6": (ether(0x86DD, ipv6(icmpv6(RS[54:], check=1), header=ICMPV6)), None),
}


@pytest.mark.parametrize(("frame", "full"), PARTIAL.values(), ids=PARTIAL)
def test_a_partial_checksum_counts_on_the_kernels_word_only(frame, full):
    assert parse(frame) is None
    packet = parse(frame, partial_checksum=True)
    assert packet is not None
    assert full is None or packet == parse(full)


def test_a_full_checksum_is_fine_although_the_kernel_says_partial():
    assert parse(FOUR, partial_checksum=True) == parse(FOUR)


def test_a_zero_udp_checksum_means_none_in_ipv4_and_wrong_in_ipv6():
    assert parse(ether(0x0800, ipv4(udp(V4, b"hello", check=0)))) == parse(FOUR)
    assert parse(ether(0x86DD, ipv6(udp(V6, b"hello", check=0)))) is None


def test_a_udp_checksum_that_computes_to_zero_is_sent_as_ffff_and_accepted():
    """RFC 768: 0xffff stands for 0, and both are zero in ones' complement."""
    base = udp(V4, b"\0\0")
    frame = ether(0x0800, ipv4(udp(V4, base[6:8], check=0xFFFF)))
    assert parse(frame).payload == base[6:8]


def test_a_partial_udp_checksum_does_not_excuse_the_ipv4_header():
    frame = ether(0x0800, ipv4(partial(V4, b"hello"), check=0x1234))
    assert parse(frame, partial_checksum=True) is None


UDP4, UDP6 = udp(V4, b"hello"), udp(V6, b"hello")
SILENCE = {
    "empty": b"",
    "13 octets": FOUR[:13],
    "header only": FOUR[:14],
    "wrong UDP checksum": ether(0x0800, ipv4(udp(V4, b"hello", check=0x1234))),
    "wrong UDP checksum in IPv6": ether(0x86DD, ipv6(udp(V6, b"hello", check=0x1234))),
    "wrong ICMPv6 checksum": ether(0x86DD, ipv6(icmpv6(RS[54:], check=1), header=ICMPV6)),
    "zero ICMPv6 checksum": ether(0x86DD, ipv6(icmpv6(RS[54:], check=0), header=ICMPV6)),
    "wrong IPv4 header checksum": ether(0x0800, ipv4(UDP4, check=0x1234)),
    "VLAN tag": ether(0x0800, ipv4(UDP4), tags=b"\x81\x00\x00\x05"),
    "priority tag twice": ether(0x86DD, ipv6(UDP6), tags=b"\x81\x00\x00\x00" * 2),
    "reserved tag": ether(0x86DD, ipv6(UDP6), tags=b"\x81\x00\x0f\xff"),
    "VLAN tag behind a priority tag": ether(
        0x86DD, ipv6(UDP6), tags=b"\x81\x00\x00\x00\x81\x00\x00\x05"
    ),
    "service tag": ether(0x0800, ipv4(UDP4), tags=b"\x88\xa8\x00\x05"),
    "double tag": ether(0x0800, ipv4(UDP4), tags=b"\x88\xa8\x00\x05\x81\x00\x00\x05"),
    "ARP": ether(0x0806, ipv4(UDP4)),
    "802.3 length": ether(46, ipv4(UDP4)),
    "IPv6 under the IPv4 ethertype": ether(0x0800, ipv6(UDP6)),
    "IPv4 under the IPv6 ethertype": ether(0x86DD, ipv4(UDP4)),
    "first fragment": ether(0x0800, ipv4(UDP4, fragment=0x2000)),
    "later fragment": ether(0x0800, ipv4(UDP4, fragment=0x0001)),
    "last fragment": ether(0x0800, ipv4(UDP4, fragment=0x1FFF)),
    "IPv6 fragment": ether(0x86DD, ipv6(b"\x11\0\0\0\0\0\0\1" + UDP6, header=44)),
    "atomic IPv6 fragment": ether(0x86DD, ipv6(b"\x11\0\0\0\0\0\0\0" + UDP6, header=44)),
    "hop-by-hop options": ether(0x86DD, ipv6(b"\x11\0\1\4\0\0\0\0" + UDP6, header=0)),
    "destination options": ether(0x86DD, ipv6(b"\x11\0\1\4\0\0\0\0" + UDP6, header=60)),
    "TCP": ether(0x0800, ipv4(UDP4, protocol=6)),
    "ICMPv4": ether(0x0800, ipv4(UDP4, protocol=1)),
    "ICMPv6 in IPv4": ether(0x0800, ipv4(UDP4, protocol=ICMPV6)),
    "no next header": ether(0x86DD, ipv6(UDP6, header=59)),
    "IPv4 version 5": ether(0x0800, ipv4(UDP4, first=0x55)),
    "IPv6 version 4": ether(0x86DD, ipv6(UDP6, first=0x40)),
    "IPv4 header length 0": ether(0x0800, ipv4(UDP4, first=0x40)),
    "IPv4 header length 16": ether(0x0800, ipv4(UDP4, first=0x44)),
    "IPv4 header length beyond the total": ether(0x0800, ipv4(UDP4, first=0x4F)),
    "IPv4 total length 0": ether(0x0800, ipv4(UDP4, total=0)),
    "IPv4 total length of a header": ether(0x0800, ipv4(UDP4, total=20)),
    "IPv4 total length beyond the frame": ether(0x0800, ipv4(UDP4, total=34)),
    "IPv6 payload length 0": ether(0x86DD, ipv6(UDP6, length=0)),
    "IPv6 payload length beyond the frame": ether(0x86DD, ipv6(UDP6, length=14)),
    "UDP of 7 octets": ether(0x0800, ipv4(UDP4[:7])),
    "UDP length 0": ether(0x0800, ipv4(udp(V4, b"hello", length=0))),
    "UDP length 7": ether(0x0800, ipv4(udp(V4, b"hello", length=7))),
    "UDP length beyond the IP packet": ether(0x0800, ipv4(udp(V4, b"hello", length=14))),
    "UDP length beyond the IPv6 packet": ether(0x86DD, ipv6(udp(V6, b"hello", length=14))),
    "ICMPv6 of 3 octets": ether(0x86DD, ipv6(b"\x85\0\0", header=ICMPV6)),
}


@pytest.mark.parametrize("tag", ["81000000", "8100e000", "81001000", "88a80000"])
def test_a_tag_of_vid_0_makes_no_difference(tag):
    for frame in (FOUR, SIX, RS):
        tagged = frame[:12] + bytes.fromhex(tag) + frame[12:]
        assert parse(tagged) == parse(frame)
        for n in range(len(tagged)):
            assert parse(tagged[:n]) is None


@pytest.mark.parametrize("frame", SILENCE.values(), ids=SILENCE)
def test_silence_for(frame):
    assert parse(frame) is None


LENGTHS = [name for name in SILENCE if "checksum" not in name]


@pytest.mark.parametrize("frame", [SILENCE[name] for name in LENGTHS], ids=LENGTHS)
def test_a_partial_checksum_excuses_nothing_else(frame):
    assert parse(frame, partial_checksum=True) is None


def test_an_ipv4_header_of_16_octets_is_silence_even_with_a_good_checksum():
    """Everything else is right: UDP begins where the destination address would be."""
    segment = udp(V4, b"hello", check=0)
    head = struct.pack("!BBHHHBBH", 0x44, 0, 16 + len(segment), 7, 0, 64, UDP, 0) + V4[0].packed
    head = head[:10] + struct.pack("!H", sum16(head)) + head[12:]
    assert parse(ether(0x0800, head + segment)) is None


@pytest.mark.parametrize("frame", [FOUR, SIX, RS], ids=["IPv4", "IPv6", "ICMPv6"])
def test_a_frame_cut_short_anywhere_is_silence(frame):
    for n in range(len(frame)):
        assert parse(frame[:n]) is None
        assert parse(frame[:n], partial_checksum=True) is None


@pytest.mark.parametrize("frame", [FOUR, SIX, RS], ids=["IPv4", "IPv6", "ICMPv6"])
def test_a_flipped_bit_under_a_checksum_is_silence(frame):
    """All but the Ethernet addresses and the IPv6 fields that no checksum covers."""
    open_v6 = {14, 15, 16, 17, 21}
    for at in range(14, len(frame)):
        if frame is not FOUR and at in open_v6:
            continue
        changed = bytearray(frame)
        changed[at] ^= 0x10
        assert parse(bytes(changed)) is None, at


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_raise(octets, partly):
    parse(octets, partial_checksum=partly)


@given(
    st.sampled_from([FOUR, SIX, RS]),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=6),
    st.binary(max_size=30),
    st.integers(0, 80),
    st.booleans(),
)
def test_no_mutation_raises_or_reads_beyond_the_frame(frame, changes, extra, cut, partly):
    octets = bytearray(frame[:cut] + extra + frame[cut:])
    for at, value in changes:
        if at < len(octets):
            octets[at] = value
    packet = parse(bytes(octets), partial_checksum=partly)
    if packet is not None:
        assert packet.payload in bytes(octets)
        assert packet.protocol in (UDP, ICMPV6)


@given(st.binary(max_size=300))
def test_checksum_agrees_with_integer_arithmetic(octets):
    """0 and 0xffff are the same number in ones' complement."""
    assert checksum(octets) % 0xFFFF == sum16(octets) % 0xFFFF


@given(st.binary(min_size=6, max_size=6))
def test_mac_addresses_go_both_ways(octets):
    assert mac_bytes(mac_text(octets)) == octets
    assert mac_text(octets) == mac_text(octets).lower()
