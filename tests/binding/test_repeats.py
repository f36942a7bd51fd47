"""A repeated request gets the answer that would be built, and nothing else passes for one."""

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binding.ipc.codec import decode
from binding.ipc.repeats import repeat
from binding.serve.responder import Responder
from guest.ethernet import checksum
from guest.frame import parse
from ra.guest_input import State
from tests.binding.test_codec import GUEST
from tests.ra.nd_wire import (
    NEW_MAC,
    OLD_MAC,
    POD_LL,
    VIRTUAL,
    lladdr,
    na,
    nd,
    ns,
    route,
    rs,
    vector,
)
from tests.ra.nd_wire import guest as nd_guest

VECTORS = Path(__file__).parents[1] / "vectors"


def stored(name):
    lines = (VECTORS / name).read_text().splitlines()
    return bytes.fromhex("".join(line for line in lines if line[0] != "#"))


def whole(frame):
    """Return the frame with its checksums filled in."""
    made = bytearray(frame)
    if made[12:14] == b"\x08\x00":
        made[24:26] = bytes(2)
        made[24:26] = checksum(bytes(made[14:34])).to_bytes(2, "big")
        addresses, at, udp = bytes(made[26:34]), 34, 40
    else:
        addresses, at, udp = bytes(made[22:54]), 54, 60
    made[udp : udp + 2] = bytes(2)
    segment = bytes(made[at:])
    pseudo = addresses + len(segment).to_bytes(4, "big") + (17).to_bytes(4, "big")
    made[udp : udp + 2] = checksum(pseudo + segment).to_bytes(2, "big")
    return bytes(made)


DISCOVER = whole(stored("v4/dhclient-discover.hex"))
SOLICIT = whole(stored("v6/dhclient-solicit.hex"))
REQUESTS = pytest.mark.parametrize("first", [DISCOVER, SOLICIT], ids=["DHCPv4", "DHCPv6"])
XID = {DISCOVER: slice(46, 50), SOLICIT: slice(63, 66)}


def responder(frame):
    packet = parse(frame)
    return Responder(replace(GUEST, mac=packet.src_mac, provider="in-pod"), 0.0)


def built(frame):
    """Return the reply that a responder makes which has heard nothing before."""
    return next(one.frame for one in responder(frame).from_guest(frame, 0.0).exchanges)


def learned(frame):
    answers = responder(frame).from_guest(frame, 0.0)
    return repeat(frame, answers.exchanges, (), partial_checksum=False)


def edited(frame, at, value):
    return frame[:at] + value + frame[at + len(value) :]


@REQUESTS
@given(xid=st.binary(min_size=4, max_size=4))
def test_another_transaction_gets_the_answer_that_would_be_built(first, xid):
    place = XID[first]
    again = whole(edited(first, place.start, xid[: place.stop - place.start]))
    assert learned(first).reply(again, partial_checksum=False) == built(again)


@pytest.mark.parametrize(
    ("first", "at", "value"),
    [
        pytest.param(DISCOVER, 18, b"\xab\xcd", id="IPv4 identification"),
        pytest.param(DISCOVER, 50, b"\x00\x09", id="seconds"),
        pytest.param(SOLICIT, 15, b"\x0a\xbc\xde", id="flow label"),
    ],
)
def test_what_no_answer_depends_on_makes_no_other_request(first, at, value):
    again = whole(edited(first, at, value))
    assert learned(first).reply(again, partial_checksum=False) == built(again)


@REQUESTS
def test_any_other_octet_makes_another_request(first):
    kept = learned(first)
    aside = {DISCOVER: {18, 19, 24, 25, 40, 41, *range(46, 52)}}.get(
        first, {15, 16, 17, 60, 61, *range(63, 66)}
    )
    for at in set(range(len(first))) - aside:
        other = whole(edited(first, at, bytes([first[at] ^ 0x55])))
        assert kept.reply(other, partial_checksum=False) is None, at


@REQUESTS
def test_a_wrong_checksum_is_no_request(first):
    udp = 40 if first is DISCOVER else 60
    broken = edited(first, udp, bytes([first[udp] ^ 1]))
    assert learned(first).reply(broken, partial_checksum=False) is None


@REQUESTS
def test_a_checksum_that_the_hardware_fills_in_is_another_kind_of_request(first):
    assert learned(first).reply(first, partial_checksum=True) is None


@REQUESTS
@given(data=st.data())
def test_no_octets_at_all_make_it_fail(first, data):
    cut = data.draw(st.integers(0, len(first)))
    noise = data.draw(st.binary(max_size=60))
    learned(first).reply(first[:cut] + noise, partial_checksum=False)


# --- router and neighbour solicitations ---------------------------------------------------

RS = nd(rs(lladdr(1, nd_guest().mac)))
NS = nd(ns(VIRTUAL, lladdr(1, nd_guest().mac)), dst=VIRTUAL, dst_mac=OLD_MAC)


@pytest.fixture
def settled():
    """A responder whose gateway is known and whose first RAs are out."""
    one = Responder(nd_guest(), 0.0)
    one.from_guest(RS, 0.0)
    one.from_network(vector("na-kernel-solicited"), 0.1)
    one.from_network(vector("arp-kernel-reply"), 0.1)
    now = 0.2
    while (at := one.wake_at) is not None and at < 100:
        now = max(now, at)
        one.due(now)
    return one


def replies(one, frame, now):
    return [(x.request, x.reply, x.frame) for x in one.from_guest(frame, now).exchanges]


def test_the_second_rs_gets_the_same_ra_and_is_counted(settled):
    first, second = (replies(settled, RS, now) for now in (100, 101))
    assert first == second
    assert first[0][:2] == ("RS", "RA")
    assert settled.counters["RA"] >= 3
    assert settled.counters["RS"] == 3


def test_a_storm_of_the_same_rs_is_answered_within_bounds(settled):
    answered = [replies(settled, RS, 100 + n / 1000) for n in range(1000)]
    assert sum(1 for exchanges in answered if exchanges[0][1] == "RA") <= 10


def test_an_rs_from_the_unspecified_address_is_not_remembered(settled):
    frame = nd(rs(), src="::")
    settled.from_guest(frame, 100)
    notes = settled.notes(100)
    assert notes is None or frame not in [one.request for one in notes.repeats]


def test_a_gateway_that_moved_is_not_answered_for_with_its_former_mac(settled):
    before = replies(settled, RS, 100), replies(settled, NS, 100)
    settled.from_network(na("fd00:10:244:1::1", NEW_MAC, 0x20), 101)
    now = 101.0
    while (at := settled.wake_at) is not None and at < 160:
        now = max(now, at)
        settled.due(now)
    notes = settled.notes(now + 1)
    assert notes is not None
    old = [one.request for one in notes.repeats if one.answer.reply in ("RA", "NA")]
    assert not old
    after = replies(settled, RS, 200), replies(settled, NS, 200)
    assert [OLD_MAC in one[0][2][6:12].hex(":") for one in before] == [True, True]
    assert [NEW_MAC in one[0][2][6:12].hex(":") for one in after] == [True, True]


def test_notes_carry_what_was_asked_to_the_successor(settled):
    settled.from_guest(RS, 100)
    notes = settled.notes(110)
    assert [one.request for one in notes.repeats] == [RS]
    successor = Responder(nd_guest(), 111.0, None, settled._part.session, notes.repeats)
    assert replies(successor, RS, 112) == replies(settled, RS, 112)


def test_after_a_rest_no_ra_deprecates_what_the_first_ones_have():
    """Only the stand-in was there when the first series of RAs ended."""
    guest = nd_guest(
        migration_target=True,
        deprecated=(IPv6Network("fd99::/64"),),
        routes=(route("::/0", POD_LL),),
        gateway_lladdrs=((IPv6Address(POD_LL), OLD_MAC),),
    )
    one = Responder(guest, 0.0)
    first = replies(one, RS, 0.0)
    assert one.state.schedule.initial
    notes = one.notes(one.wake_at - 2)
    later = notes.steps[-1].at + 1
    notes = notes.after(later)
    successor = Responder(guest, later, None, decode(State, notes.session), notes.repeats)
    fresh = Responder(guest, later, None, decode(State, notes.session))
    answer = replies(successor, RS, later)
    assert answer == replies(fresh, RS, later)
    assert answer != first


def test_an_ra_that_the_last_of_the_first_series_follows_at_once_is_not_remembered():
    deprecated = (IPv6Network("fd99::/64"),)
    one = Responder(nd_guest(routes=(route("::/0", POD_LL),), deprecated=deprecated), 0.0)
    one.from_guest(RS, 0.0)
    one.from_network(na(POD_LL, OLD_MAC), 0.1)
    now = 0.2
    while one.state.schedule.initial > 1:
        now = max(now, one.wake_at)
        one.due(now)
    last = one.wake_at
    first = one.from_guest(RS, last).tap
    assert len(first) == 2
    assert replies(one, RS, last + 2)[0][2] != first[0]


def test_each_probe_at_rest_goes_with_a_question_to_the_gateway(settled):
    """Else a dead gateway would seem alive to the guest for ever: we answer in its place."""
    asked = settled.from_guest(NS, 100).nic
    assert asked
    settled.from_network(vector("na-kernel-solicited"), 100.1)
    assert not settled.from_guest(NS, 100.5).nic, "at most one a second"
    settled.due(101)
    settled.from_network(vector("na-kernel-solicited"), 101.1)
    [kept] = [one for one in settled.notes(110).repeats if one.answer.reply == "NA"]
    assert kept.nic == asked


def test_a_probe_answered_without_that_question_is_not_remembered(settled):
    settled.from_guest(RS, 100)
    settled._part.session = replace(
        settled._part.session, gateway6=replace(settled.state.gateway6, tried=99.5)
    )
    assert not settled.from_guest(NS, 100).nic
    settled.due(100.5)
    settled.from_network(vector("na-kernel-solicited"), 100.6)
    assert not [one for one in settled.notes(110).repeats if one.answer.reply == "NA"]


def test_a_probe_where_there_is_no_gateway_is_remembered():
    one = Responder(nd_guest(routes=()), 0.0)
    one.from_guest(RS, 0.0)
    one.from_guest(NS, 1.0)
    assert "NA" in [kept.answer.reply for kept in one._repeats.all]


def test_a_guest_of_many_words_fills_no_memory():
    one = responder(DISCOVER)
    for number in range(100):
        one.from_guest(whole(edited(DISCOVER, 28 + 14, bytes((1, 1, 6, number)))), 0.0)
        one.from_guest(whole(edited(DISCOVER, 56, number.to_bytes(2, "big"))), 0.0)
    assert len(one._repeats.all) <= 16


def test_the_same_request_again_and_again_leaves_room_for_others():
    one = responder(DISCOVER)
    broadcast = whole(edited(DISCOVER, 52, b"\x80"))  # the flag
    one.from_guest(broadcast, 0.0)
    for number in range(100):
        one.from_guest(whole(edited(DISCOVER, 46, number.to_bytes(4, "big"))), 0.0)
    assert next(kept.request for kept in one._repeats.all) == broadcast
    assert len(one._repeats.all) == 2
