"""An answer that was kept is the very one that would be built afresh, whatever the request."""

from dataclasses import replace
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from binding.serve.answers import Answers
from dhcp import server
from guest.frame import parse
from guest.network import Boot, Route
from tests.dhcp.any_request import option6, requests4, requests6
from tests.samples import GUEST

VECTORS = Path(__file__).parents[1] / "vectors"
SERVED = replace(GUEST, provider="in-pod")
GUESTS = (
    SERVED,
    replace(
        SERVED,
        ipv4=(IPv4Interface("10.0.0.5/32"), IPv4Interface("10.0.0.6/32")),
        ipv6=(IPv6Interface("fd00::5/128"), IPv6Interface("fd00::6/128")),
        mtu=9000,
        lease=None,
        hostname="vm1",
        domain="default.svc.cluster.local",
        search=tuple(f"{'long' * 12}{n}.example" for n in range(30)),
        ntp=(IPv4Address("10.0.0.9"), IPv6Address("fd00::9")),
        boot=Boot(file="http://a/b", server="10.0.0.8", by_arch=((16, "http://a/c"),)),
        ipv6_only=300,
        captive_portal="https://portal.example",
        private=((224, b"a"), (249, b"\0" * 9)),
        delegated=(IPv6Network("fd64:7::/56"), IPv6Network("fd64:8::/60")),
    ),
    replace(
        SERVED,
        boot=Boot("a.kpxe", "boot.example", url="http://[fd00::8]/a.efi", parameters=("x",)),
        routes=(Route(IPv4Network("10.8.0.0/16"), IPv4Address("10.244.1.9")),),
    ),
    replace(SERVED, ipv4=(), ipv6_mode="slaac"),
    replace(SERVED, ipv4_mode="off", ipv6_mode="off"),
)
BY_GUEST = pytest.mark.parametrize("guest", GUESTS, ids=["usual", "rich", "boots", "v6", "off"])
KEPT = {guest: Answers(guest) for guest in GUESTS}
"""Over all examples: what one request left behind must not reach another."""


def vector(name):
    lines = (VECTORS / name).read_text().splitlines()
    return parse(
        bytes.fromhex("".join(line for line in lines if line[0] != "#")), partial_checksum=True
    )


def given_by(answers, packet):
    found = answers.dhcp(packet)
    return found and found[0].to(found[1])


@BY_GUEST
@settings(max_examples=100, deadline=None)
@given(packet=requests4())
def test_what_is_kept_for_dhcpv4_is_what_would_be_built(guest, packet):
    fresh = server.answer(packet, guest)
    assert given_by(KEPT[guest], packet) == fresh
    assert given_by(KEPT[guest], packet) == fresh, "now that it is kept"


@BY_GUEST
@settings(max_examples=100, deadline=None)
@given(packet=requests6())
def test_what_is_kept_for_dhcpv6_is_what_would_be_built(guest, packet):
    fresh = server.answer(packet, guest)
    assert given_by(KEPT[guest], packet) == fresh
    assert given_by(KEPT[guest], packet) == fresh, "now that it is kept"


@settings(max_examples=100, deadline=None)
@given(pair=st.tuples(requests4(), requests4()) | st.tuples(requests6(), requests6()))
def test_requests_of_equal_meaning_are_answered_alike_and_others_may_differ(pair):
    asked = [server.question(packet) for packet in pair]
    if None in asked or asked[0][0] != asked[1][0]:
        return
    plain = [server.plain(packet, key) for packet, (key, _) in zip(pair, asked, strict=True)]
    assert server.answer(plain[0], SERVED) == server.answer(plain[1], SERVED)


DISCOVER = vector("v4/dhclient-discover.hex")
SOLICIT = vector("v6/dhclient-solicit.hex")
REQUESTS = [pytest.param(DISCOVER, id="DHCPv4"), pytest.param(SOLICIT, id="DHCPv6")]


def answers_to(packet):
    return Answers(replace(SERVED, mac=packet.src_mac))


def changed(packet, at, value):
    payload = packet.payload[:at] + value + packet.payload[at + len(value) :]
    return packet._replace(payload=payload)


@pytest.mark.parametrize("first", REQUESTS)
@settings(deadline=None)
@given(number=st.binary(min_size=4, max_size=4))
def test_every_transaction_id_gets_a_frame_whose_checksum_is_right(first, number):
    again = changed(first, 4, number) if first is DISCOVER else changed(first, 1, number[:3])
    exchange = given_by(answers_to(first), again)
    assert exchange == server.answer(again, replace(SERVED, mac=first.src_mac))
    assert parse(exchange.frame) is not None


def with_option(packet, code, value):
    if packet.src.version == 6:
        return packet._replace(payload=packet.payload + option6(code, value))
    end = packet.payload.index(b"\xff", 240)
    options = packet.payload[240:end] + bytes((code, len(value))) + value + b"\xff"
    return packet._replace(payload=packet.payload[:240] + options)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        pytest.param(DISCOVER, changed(DISCOVER, 8, b"\0\x07"), id="seconds"),
        pytest.param(DISCOVER, with_option(DISCOVER, 60, b"android-dhcp-14"), id="vendor class"),
        pytest.param(DISCOVER, with_option(DISCOVER, 43, b"12"), id="an option nobody reads"),
        pytest.param(DISCOVER, DISCOVER._replace(hop_limit=1), id="TTL"),
        pytest.param(
            SOLICIT, with_option(SOLICIT, 16, b"\0\0\0\x09\0\x02us"), id="vendor class v6"
        ),
        pytest.param(SOLICIT, with_option(SOLICIT, 6, b"\x03\xe7"), id="asks for the unknown"),
    ],
)
def test_other_words_of_equal_meaning_find_the_answer(first, other):
    answers = answers_to(first)
    answers.dhcp(first)
    answers.dhcp(other)
    assert len(answers._kept) == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(changed(DISCOVER, 33, b"\xfe"), id="chaddr"),
        pytest.param(changed(DISCOVER, 10, b"\x80\0"), id="broadcast flag"),
        pytest.param(DISCOVER._replace(src_mac="02:00:00:00:00:09"), id="source MAC"),
        pytest.param(changed(DISCOVER, 242, b"\x03"), id="message type"),
        pytest.param(with_option(DISCOVER, 60, b"HTTPClient"), id="firmware"),
        pytest.param(with_option(DISCOVER, 61, b"\x01other"), id="client identifier"),
        pytest.param(SOLICIT, id="the other protocol"),
    ],
)
def test_another_meaning_has_an_answer_of_its_own(other):
    answers = answers_to(DISCOVER)
    answers.dhcp(DISCOVER)
    answers.dhcp(other)
    assert len(answers._kept) == 2


@pytest.mark.parametrize("port", [68, 546, 548])
@pytest.mark.parametrize("first", REQUESTS)
def test_another_port_finds_no_answer(first, port):
    answers = answers_to(first)
    answers.dhcp(first)
    assert answers.dhcp(first._replace(dport=port)) is None


def test_a_flood_of_different_requests_fills_no_memory_and_forgets_the_oldest():
    answers = answers_to(DISCOVER)
    for number in range(1000):
        other = with_option(DISCOVER, 61, number.to_bytes(2, "big"))
        answer, transaction = answers.dhcp(other)
        answers.asked(answer, b"frame", transaction)
    assert len(answers._kept) == 64
    numbers = [answer.number for _, answer in answers.latest()]
    assert numbers == list(range(937, 1001))
