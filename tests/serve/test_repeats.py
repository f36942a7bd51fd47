"""What `serve` hands over to its stand-in: the latest requests, and the answers to them."""

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network

import pytest

from binding.ipc.codec import build
from binding.serve.responder import Responder
from guest.frame import parse
from ra.state import State
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
from tests.samples import GUEST
from tests.serve.asked import (
    DISCOVER,
    REQUESTS,
    SOLICIT,
    XID,
    edited,
    responder,
    responder_of,
    said,
    whole,
)


def handed_over(one, now=30.0):
    """Return what a responder hands over once all is quiet."""
    while (at := one.wake_at) is not None and at < now + 1:
        one.due(at)
    return {repeat.request: repeat for repeat in one.handover(now).repeats}


@REQUESTS
def test_the_latest_of_each_request_is_handed_over_with_its_answer(first):
    one = responder_of(first)
    again = whole(edited(first, XID[first].start, b"\xab\xcd\xef"))
    [exchange] = said(one, again)
    known = handed_over(one)
    assert first not in known
    assert known[again].tap == (exchange.frame,)
    assert known[again].wakes
    assert not known[again].partial_checksum


def test_a_request_whose_checksum_was_left_to_the_hardware_is_handed_over_as_that():
    one = responder(DISCOVER)
    one.from_guest(DISCOVER, 0.0, partial_checksum=True)
    assert handed_over(one)[DISCOVER].partial_checksum


@pytest.mark.parametrize(
    ("frame", "without"),
    [
        pytest.param(DISCOVER, {"ipv4": ()}, id="DISCOVER on an IPv6-only pod"),
        pytest.param(DISCOVER, {"ipv4_mode": "off"}, id="DISCOVER where IPv4 is off"),
        pytest.param(SOLICIT, {"ipv6_mode": "off"}, id="SOLICIT where IPv6 is off"),
    ],
)
def test_silence_that_depends_on_the_request_alone_is_handed_over_and_wakes_nobody(frame, without):
    guest = replace(GUEST, mac=parse(frame).src_mac, provider="in-pod", **without)
    one = Responder(guest, 0.0)
    [exchange] = said(one, frame)
    assert exchange.note
    repeat = handed_over(one)[frame]
    assert (repeat.tap, repeat.nic, repeat.wakes) == ((), (), False)


@pytest.mark.parametrize(
    ("changes", "silent"),
    [
        ({}, set()),
        ({"ipv4": ()}, {4}),
        ({"ipv4_mode": "off"}, {4}),
        ({"ipv4": (), "ipv6_only": 300}, set()),
        ({"ipv6_mode": "off"}, {6}),
        ({"ipv6": ()}, set()),
        ({"ipv4": (), "provider": "kube-ovn"}, set()),
    ],
)
def test_families_are_silent_where_no_request_can_get_an_answer(changes, silent):
    guest = replace(GUEST, **({"provider": "in-pod"} | changes))
    assert Responder(guest, 0.0).service.silent == silent


def test_an_rs_on_a_pod_without_ipv6_is_handed_over_as_silence():
    one = Responder(nd_guest(ipv6=(), routes=()), 0.0)
    one.from_guest(RS, 0.0)
    one.from_guest(RS, 4.0)
    repeat = handed_over(one)[RS]
    assert (repeat.tap, repeat.nic, repeat.wakes) == ((), (), False)


def test_a_decline_of_the_pods_address_is_not_handed_over():
    """Somebody must hear of each."""
    options = bytes((53, 1, 4, 50, 4, 10, 244, 1, 5, 255))
    decline = whole(edited(DISCOVER, 42 + 240, options))
    one = responder_of(DISCOVER)
    [exchange] = said(one, decline)
    assert exchange.warning
    assert decline not in handed_over(one)


def test_what_was_handed_over_is_handed_on_by_a_successor_that_heard_nothing():
    one = responder_of(DISCOVER)
    before = handed_over(one)
    handover = one.handover(30.0)
    ra_state = build(State, handover.ra_state)
    successor = Responder(one.guest, 31.0, None, ra_state, handover.repeats)
    assert handed_over(successor, 40.0) == before


# --- router and neighbour solicitations ---------------------------------------------------

RS = nd(rs(lladdr(1, nd_guest().mac)))
NS = nd(ns(VIRTUAL, lladdr(1, nd_guest().mac)), dst=VIRTUAL, dst_mac=OLD_MAC)


@pytest.fixture
def quiet():
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


def test_the_second_rs_gets_the_same_ra_and_is_counted(quiet):
    first, second = (replies(quiet, RS, now) for now in (100, 101))
    assert first == second
    assert first[0][:2] == ("RS", "RA")
    assert quiet.counters["RA"] >= 3
    assert quiet.counters["RS"] == 3


def test_a_storm_of_the_same_rs_is_answered_within_bounds(quiet):
    answered = [replies(quiet, RS, 100 + n / 1000) for n in range(1000)]
    assert sum(1 for exchanges in answered if exchanges[0][1] == "RA") <= 10


def test_an_rs_from_the_unspecified_address_is_not_remembered(quiet):
    frame = nd(rs(), src="::")
    quiet.from_guest(frame, 100)
    handover = quiet.handover(100)
    assert handover is None or frame not in [one.request for one in handover.repeats]


def test_a_gateway_that_moved_is_not_answered_for_with_its_former_mac(quiet):
    before = replies(quiet, RS, 100), replies(quiet, NS, 100)
    quiet.from_network(na("fd00:10:244:1::1", NEW_MAC, 0x20), 101)
    now = 101.0
    while (at := quiet.wake_at) is not None and at < 160:
        now = max(now, at)
        if quiet.due(now).nic:  # the old MAC is silent, the new one answers
            quiet.from_network(na("fd00:10:244:1::1", NEW_MAC), now)
    handover = quiet.handover(now + 1)
    assert handover is not None
    old = [one.request for one in handover.repeats]
    assert not old
    after = replies(quiet, RS, 200), replies(quiet, NS, 200)
    assert [OLD_MAC in one[0][2][6:12].hex(":") for one in before] == [True, True]
    assert [NEW_MAC in one[0][2][6:12].hex(":") for one in after] == [True, True]


def test_a_handover_carries_what_was_asked_to_the_successor(quiet):
    quiet.from_guest(RS, 100)
    handover = quiet.handover(110)
    assert [one.request for one in handover.repeats] == [RS]
    successor = Responder(nd_guest(), 111.0, None, quiet.service.ra_state, handover.repeats)
    assert replies(successor, RS, 112) == replies(quiet, RS, 112)


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
    assert one.service.ra_state.schedule.initial
    handover = one.handover(one.wake_at - 2)
    later = handover.planned[-1].at + 1
    handover = handover.after(later)
    successor = Responder(guest, later, None, build(State, handover.ra_state), handover.repeats)
    fresh = Responder(guest, later, None, build(State, handover.ra_state))
    answer = replies(successor, RS, later)
    assert answer == replies(fresh, RS, later)
    assert answer != first


def test_an_ra_that_the_last_of_the_first_series_follows_at_once_is_not_remembered():
    deprecated = (IPv6Network("fd99::/64"),)
    one = Responder(nd_guest(routes=(route("::/0", POD_LL),), deprecated=deprecated), 0.0)
    one.from_guest(RS, 0.0)
    one.from_network(na(POD_LL, OLD_MAC), 0.1)
    now = 0.2
    while one.service.ra_state.schedule.initial > 1:
        now = max(now, one.wake_at)
        one.due(now)
    last = one.wake_at
    first = one.from_guest(RS, last).tap
    assert len(first) == 2
    assert replies(one, RS, last + 2)[0][2] != first[0]


def test_each_probe_at_rest_goes_with_a_question_to_the_gateway(quiet):
    """Else a dead gateway would seem alive to the guest for ever: we answer in its place."""
    asked = quiet.from_guest(NS, 100).nic
    assert asked
    quiet.from_network(vector("na-kernel-solicited"), 100.1)
    assert not quiet.from_guest(NS, 100.5).nic, "at most one a second"
    quiet.due(101)
    quiet.from_network(vector("na-kernel-solicited"), 101.1)
    [kept] = quiet.handover(110).repeats
    assert (kept.request, kept.nic, kept.wakes) == (NS, asked, False)


def test_a_probe_answered_without_that_question_is_not_remembered(quiet):
    quiet.from_guest(RS, 100)
    quiet.service._solicitations.ra_state = replace(
        quiet.service.ra_state, gateway6=replace(quiet.service.ra_state.gateway6, tried=99.5)
    )
    assert not quiet.from_guest(NS, 100).nic
    quiet.due(100.5)
    quiet.from_network(vector("na-kernel-solicited"), 100.6)
    assert NS not in [one.request for one in quiet.handover(110).repeats]


def test_a_probe_where_there_is_no_gateway_is_remembered():
    one = Responder(nd_guest(routes=()), 0.0)
    one.from_guest(RS, 0.0)
    one.from_guest(NS, 1.0)
    assert NS in handed_over(one)


def test_a_guest_of_many_words_fills_no_memory():
    one = responder(DISCOVER)
    for number in range(100):
        one.from_guest(whole(edited(DISCOVER, 28 + 14, bytes((1, 1, 6, number)))), 0.0)
        one.from_guest(whole(edited(DISCOVER, 56, number.to_bytes(2, "big"))), 0.0)
    assert len(handed_over(one)) <= 16


def test_the_same_request_again_and_again_leaves_room_for_others():
    one = responder(DISCOVER)
    broadcast = whole(edited(DISCOVER, 52, b"\x80"))  # the flag
    one.from_guest(broadcast, 0.0)
    for number in range(100):
        one.from_guest(whole(edited(DISCOVER, 46, number.to_bytes(4, "big"))), 0.0)
    assert next(iter(handed_over(one))) == broadcast
    assert len(handed_over(one)) == 2


def test_the_first_question_for_our_mac_may_come_at_rest():
    """The ARP of a renewal by unicast: Linux asks thrice, 1 s apart, and gives the renewal up."""
    one = Responder(replace(GUEST, mac=parse(DISCOVER).src_mac, routes=()), 0.0)
    one.from_guest(DISCOVER, 0.0)
    server, ours = bytes((192, 0, 0, 8)), bytes.fromhex("02000d5b1d9e")
    guest, own = DISCOVER[6:12], GUEST.ipv4[0].ip.packed
    head = bytes.fromhex("08060001080006040001")
    asked = b"\xff" * 6 + guest + head + guest + own + bytes(6) + server
    answer = guest + ours + head[:-1] + b"\x02" + ours + server + guest + own
    kept = handed_over(one)[asked]
    assert (kept.tap, kept.nic, kept.wakes) == ((answer,), (), True)
