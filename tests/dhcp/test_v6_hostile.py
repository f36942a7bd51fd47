"""No octets of the guest may raise, stall or grow anything; what is refused is named."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp import v6
from guest.exchange import Exchange
from tests.dhcp.v6_wire import (
    CLIENT_ID,
    GUEST,
    REBIND,
    RELEASE,
    RENEW,
    REQUEST,
    SERVER_ID,
    SOLICIT,
    address,
    ask,
    ia_na,
    ia_pd,
    ia_ta,
    message,
    option,
    oro,
    packet,
    refused,
    spoken,
    vector,
    vectors,
)

WIRES = [vector(name).payload for name in vectors()]


def sound(exchange):
    """None, or an exchange whose frame (if any) reads back to its last octet."""
    assert exchange is None or isinstance(exchange, Exchange)
    if exchange is not None and exchange.frame:
        assert spoken(exchange)[0].split()[0] == exchange.reply
        assert len(exchange.frame) <= 14 + GUEST.mtu
    if exchange is not None and not exchange.frame:
        assert exchange.note
        assert not exchange.reply


def ia(code, head, inner):
    return option(code, bytes(head) + inner)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (option(1, b"\x00\x03"), "client identifier of 2 octets"),
        (option(1, bytes(131)), "client identifier of 131 octets"),
        (option(2, b""), "server identifier of 0 octets"),
        (option(3, bytes(11)), "IA_NA of 11 octets"),
        (option(4, bytes(3)), "IA_TA of 3 octets"),
        (option(25, bytes(11)), "IA_PD of 11 octets"),
        (ia(3, 12 * [0], b"\x00\x05\x00\x18" + bytes(23)), "IA_NA with an address that is cut off"),
        (ia(3, 12 * [0], option(5, bytes(23))), "IA_NA with an address that is cut off"),
        (ia(4, 4 * [0], option(5, bytes(15))), "IA_TA with an address that is cut off"),
        (ia(4, 4 * [0], b"\x00\x05\x00\x19" + bytes(24)), "IA_TA with an address that is cut off"),
    ],
    ids=lambda broken: broken[:24].hex() if isinstance(broken, bytes) else "",
)
def test_an_identifier_or_association_of_a_wrong_length_refuses_the_message(broken, why):
    """Before and behind honest options; the message is named, with the reason."""
    assert refused(ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1), broken), f"DHCPv6 SOLICIT: {why}")
    assert refused(ask(GUEST, SOLICIT, broken, CLIENT_ID, ia_na(1)), f"DHCPv6 SOLICIT: {why}")


@pytest.mark.parametrize(
    "broken",
    [
        *(bytes(n) for n in (1, 2, 3)),
        b"\x00\x17\x00",
        b"\xff",
        struct.pack("!HH", 23, 1),
        struct.pack("!HH", 3, 0xFFFF),
        struct.pack("!HH", 1, 12),
        struct.pack("!HHH", 99, 16, 0xABCD),
    ],
    ids=lambda octets: octets.hex(),
)
def test_a_tail_that_is_no_option_ends_the_reading(broken):
    """dnsmasq and Kea answer these; octets behind the last option change nothing."""
    whole = ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1))
    assert whole.frame
    assert ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1), broken) == whole


@pytest.mark.parametrize(
    "broken",
    [
        option(7, b""),
        option(8, b"\x00"),
        option(8, bytes(3)),
        option(11, bytes(10)),
        option(12, bytes(15)),
        option(13, b"\x00"),
        option(14, b"\x00"),
        option(15, b""),
        option(16, bytes(3)),
        option(17, bytes(3)),
        option(19, b""),
        option(20, b"\x05"),
        option(39, b""),
        option(61, b"\x00"),
        option(62, b"\x01\x03"),
    ],
    ids=lambda octets: octets.hex(),
)
def test_another_option_of_a_wrong_length_is_passed_over(broken):
    whole = ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1))
    assert ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1), broken) == whole
    assert ask(GUEST, SOLICIT, broken, CLIENT_ID, ia_na(1)) == whole


@pytest.mark.parametrize(
    "inside",
    [
        b"\x00",
        bytes(3),
        option(13, b"\x00"),
        option(5, bytes(24) + b"\x00\x0d\x00"),
        option(5, bytes(24) + option(13, b"")),
        b"\x00\x0d\x00\x05",
    ],
    ids=lambda octets: octets.hex(),
)
def test_what_is_not_read_inside_an_association_may_hold_anything(inside):
    whole = ask(GUEST, SOLICIT, CLIENT_ID, ia_na(0))
    assert ask(GUEST, SOLICIT, CLIENT_ID, ia(3, 12 * [0], inside)) == whole
    prefix = ask(GUEST, SOLICIT, CLIENT_ID, ia_pd(0))
    assert ask(GUEST, SOLICIT, CLIENT_ID, ia(25, 12 * [0], inside)) == prefix


@pytest.mark.parametrize("half", [b"\x00\x17\x00", b"\x00\x17\x18"], ids=["zero", "not zero"])
def test_half_a_code_at_the_end_of_an_oro_is_passed_over(half):
    whole = ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1), oro(23))
    assert ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1), option(6, half)) == whole


def test_the_reported_solicit_is_answered():
    """One zero octet behind the last option."""
    wire = "016162630001000a0003000102420af401070003000c00000001000000000000000000"
    exchange = v6.answer(packet(bytes.fromhex(wire)), GUEST)
    assert (exchange.reply, exchange.note) == ("ADVERTISE", "fd77::42, lease infinite")


@pytest.mark.parametrize("length", range(4))
def test_message_shorter_than_its_header_is_nothing(length):
    exchange = v6.answer(packet(b"\x01\xab\xcd\xef"[:length]), GUEST)
    assert refused(exchange, f"DHCPv6 of {length} octets, shorter than its header")


def test_contradictory_identifiers_drop_the_message():
    other = option(1, b"\x00\x03\x00\x01other")
    two = "two different client identifiers"
    assert refused(ask(GUEST, SOLICIT, CLIENT_ID, other), f"DHCPv6 SOLICIT: {two}")
    servers = SERVER_ID, option(2, b"\x00\x03other")
    two = "two different server identifiers"
    assert refused(ask(GUEST, REQUEST, CLIENT_ID, *servers), f"DHCPv6 REQUEST: {two}")


def test_repeated_identifiers_and_statuses_are_harmless():
    status = option(13, b"\x00\x00fine")
    once = ask(GUEST, REQUEST, CLIENT_ID, SERVER_ID, ia_na(1))
    assert ask(GUEST, REQUEST, status, SERVER_ID, CLIENT_ID, SERVER_ID, status, ia_na(1)) == once


def test_options_we_do_not_read_may_hold_anything():
    """User class, vendor class, vendor options, authentication, unknown codes."""
    junk = [option(code, b"\xff" * 30) for code in (11, 15, 16, 17, 18, 79, 143, 65535)]
    assert ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1), *junk) == ask(
        GUEST, SOLICIT, CLIENT_ID, ia_na(1)
    )


def test_an_ia_inside_an_ia_is_not_followed():
    """Nesting is three levels deep and no deeper, so nothing recurses on the guest's word."""
    nested = b""
    for _ in range(200):
        nested = option(3, bytes(12) + nested)
    assert ask(GUEST, SOLICIT, CLIENT_ID, nested) == ask(GUEST, SOLICIT, CLIENT_ID, ia_na(0))


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(ia_na(i) for i in range(4000)),
        b"".join(ia_ta(i) for i in range(4000)),
        b"".join(ia_pd(i) for i in range(4000)),
        option(3, bytes(12) + address("fd77::1") * 2300),
        option(3, bytes(12) + address("fd77::42", inner=option(13, b"\0\0") * 9000)),
        bytes(65000),
        oro(23) * 9000,
        option(6, b"\x00\x17" * 32000),
    ],
    ids=["IA_NA", "IA_TA", "IA_PD", "addresses", "nested", "zeros", "OROs", "codes"],
)
@pytest.mark.parametrize("kind", [SOLICIT, RENEW, REBIND])
def test_oversized_message_costs_little(kind, flood):
    """64 KiB of options are refused or answered in milliseconds; the bound is for slow machines."""
    server = [SERVER_ID] if kind == RENEW else []
    start = time.process_time()
    sound(ask(GUEST, kind, CLIENT_ID, *server, flood))
    assert time.process_time() - start < 0.25


@pytest.mark.parametrize("kind", [SOLICIT, RENEW, RELEASE], ids=["SOLICIT", "RENEW", "RELEASE"])
def test_an_answer_that_does_not_fit_is_not_built(kind):
    """70 associations: 30 ms of scapy for an answer that would be thrown away."""
    server = [] if kind == SOLICIT else [SERVER_ID]
    flood = *server, *(ia_na(i, "fd77::9") for i in range(60))
    start = time.process_time()
    exchange = ask(GUEST, kind, CLIENT_ID, *flood)
    took = time.process_time() - start
    assert (exchange.frame, exchange.note) == (b"", "the answer would not fit into the MTU")
    start = time.process_time()
    ask(GUEST, kind, CLIENT_ID, *server, ia_na(1))
    assert took < 3 * (time.process_time() - start)


@given(st.binary(max_size=400))
def test_no_octets_raise(octets):
    sound(v6.answer(packet(octets), GUEST))


_codes = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 20, 25, 26, 39, 61, 62, 999])
_leaf = st.builds(option, _codes, st.binary(max_size=40))


def _container(code, head, areas):
    fixed = st.binary(min_size=head, max_size=head)
    return st.builds(lambda start, area: option(code, start + area), fixed, areas)


_area = st.recursive(
    st.lists(_leaf, max_size=5).map(b"".join),
    lambda inner: st.lists(
        st.one_of(_leaf, _container(3, 12, inner), _container(5, 24, inner)), max_size=4
    ).map(b"".join),
    max_leaves=8,
)


@given(st.integers(0, 14), st.booleans(), st.booleans(), _area)
def test_no_well_formed_nonsense_raises(kind, client, server, area):
    """Options of right outer length and wild inside; every reply reads back."""
    parts = [CLIENT_ID] * client + [SERVER_ID] * server
    sound(v6.answer(packet(message(kind, *parts, area)), GUEST))


@settings(max_examples=300)
@given(st.data())
def test_no_mutation_of_a_real_request_raises(data):
    wire = bytearray(data.draw(st.sampled_from(WIRES)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(wire) - 1))
        change = data.draw(st.sampled_from(["set", "cut", "double", "drop"]))
        if change == "set":
            wire[at] = data.draw(st.integers(0, 255))
        elif change == "cut" and at:
            del wire[at:]
        elif change == "double":
            wire[at:at] = wire[at : at + data.draw(st.integers(1, 40))]
        elif change == "drop" and len(wire) > 1:
            del wire[at]
    sound(v6.answer(packet(bytes(wire)), GUEST))


def test_honest_request_after_a_flood_is_answered_as_before():
    honest = packet(message(SOLICIT, CLIENT_ID, ia_na(1)))
    before = v6.answer(honest, GUEST)
    for wire in WIRES:
        for at in range(0, len(wire), 7):
            v6.answer(honest._replace(payload=wire[:at] + b"\xff" + wire[at:]), GUEST)
    assert v6.answer(honest, GUEST) == before
