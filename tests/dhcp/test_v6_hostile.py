"""No octets of the guest may raise, stall or grow anything; what is malformed gets nothing."""

from __future__ import annotations

import struct
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhcp import v6
from guest.exchange import Exchange
from tests.dhcp.v6_wire import (
    CLIENT_ID,
    GUEST,
    REBIND,
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
    "broken",
    [
        b"\x00",
        b"\x00\x17\x00",
        struct.pack("!HH", 23, 1),
        struct.pack("!HH", 3, 0xFFFF),
        option(1, b"\x00\x03"),
        option(1, bytes(131)),
        option(2, b""),
        option(3, bytes(11)),
        option(4, bytes(3)),
        option(25, bytes(11)),
        option(6, b"\x00"),
        option(6, b"\x00\x17\x00"),
        option(7, b""),
        option(8, b"\x00"),
        option(8, bytes(3)),
        option(11, bytes(10)),
        option(12, bytes(15)),
        option(13, b"\x00"),
        option(14, b"\x00"),
        option(16, bytes(3)),
        option(17, bytes(3)),
        option(19, b""),
        option(20, b"\x05"),
        option(39, b""),
        option(61, b"\x00"),
        option(62, b"\x01\x03"),
        ia(3, 12 * [0], b"\x00"),
        ia(3, 12 * [0], b"\x00\x05\x00\x18" + bytes(23)),
        ia(3, 12 * [0], option(5, bytes(23))),
        ia(3, 12 * [0], option(13, b"\x00")),
        ia(3, 12 * [0], option(5, bytes(24) + b"\x00\x0d\x00")),
        ia(3, 12 * [0], option(5, bytes(24) + option(13, b""))),
        ia(4, 4 * [0], option(5, bytes(15))),
        ia(4, 4 * [0], b"\x00\x05\x00\x19" + bytes(24)),
        ia(25, 12 * [0], option(26, bytes(24))),
        ia(25, 12 * [0], option(26, bytes(25) + b"\x00\x0d\x00\x05")),
    ],
    ids=lambda octets: octets[:24].hex(),
)
def test_wrong_length_drops_the_whole_message(broken):
    """Outside, inside an IA and inside an address, before and behind honest options."""
    assert ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1)) is not None
    assert ask(GUEST, SOLICIT, CLIENT_ID, ia_na(1), broken) is None
    if len(broken) > 4:
        assert ask(GUEST, SOLICIT, broken, CLIENT_ID, ia_na(1)) is None


@pytest.mark.parametrize("length", range(4))
def test_message_shorter_than_its_header_is_nothing(length):
    assert v6.answer(packet(b"\x01\xab\xcd\xef"[:length]), GUEST) is None


def test_contradictory_identifiers_drop_the_message():
    other = option(1, b"\x00\x03\x00\x01other")
    assert ask(GUEST, SOLICIT, CLIENT_ID, other) is None
    assert ask(GUEST, REQUEST, CLIENT_ID, SERVER_ID, option(2, b"\x00\x03other")) is None


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
            v6.answer(replace(honest, payload=wire[:at] + b"\xff" + wire[at:]), GUEST)
    assert v6.answer(honest, GUEST) == before
