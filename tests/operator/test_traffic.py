"""What frames at tap and pod NIC show, and what is made of it."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from binding.operator import traffic
from binding.operator.traffic import Traffic
from binding.packet.guard import Observed
from guest.ethernet import mac_bytes
from tests.operator.test_diagnose import (
    GIVEN,
    GUEST,
    HARM,
    LOOK,
    MAC,
    OK,
    STATUS,
    TOLD,
    WARNING,
    answered,
    judged,
)

GATEWAY, ROUTER_MAC = "10.244.1.1", "0a:58:0a:f4:01:01"
DNS = "10.96.0.10"


def arp(sender, address, wanted, *, operation=1):
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac_bytes(sender)
    body += IPv4Address(address).packed + bytes(6) + IPv4Address(wanted).packed
    return b"\xff" * 6 + mac_bytes(sender) + b"\x08\x06" + body


def heard(*frames):
    """Return what the tap's messages show of frames that come one after the other."""
    found = Traffic()
    for at, frame in enumerate(frames):
        traffic.messages_at_tap(found, TOLD, frame, at)
    return found


def test_a_question_that_nobody_answers_and_one_that_somebody_does():
    question = arp(MAC, "10.244.1.5", GATEWAY)
    assert heard(question).unanswered == [GATEWAY]
    assert heard(question, arp(ROUTER_MAC, GATEWAY, "10.244.1.5", operation=2)).unanswered == []


@pytest.mark.parametrize(
    "frame",
    [
        arp(MAC, "0.0.0.0", "10.244.1.5"),  # a probe for its own address
        arp(ROUTER_MAC, GATEWAY, "10.244.1.9"),  # not the guest's question
        arp(MAC, "10.244.1.5", GATEWAY)[:41],
        arp(MAC, "10.244.1.5", GATEWAY)[:20],
    ],
)
def test_what_is_no_question_of_the_guests(frame):
    assert heard(frame).unanswered == []


def test_a_question_of_the_last_moment_does_not_count():
    found = heard(arp(MAC, "10.244.1.5", GATEWAY))
    found.forget_questions_since(0)
    assert found.unanswered == []


def seen(**changes):
    return replace(LOOK, traffic={"default": Traffic(**changes)})


WANTED = {"wanted": {GATEWAY: 0.0}}
BY_HAND = {"has": {"10.244.1.5": MAC, "fd00::5": MAC}}
ASKED = {"queries": Counter({DNS: 5})}


@pytest.mark.parametrize(
    ("changes", "status", "anchors"),
    [
        (WANTED, HARM, {"gateway-mac"}),
        (WANTED | {"claimed": {GATEWAY: ROUTER_MAC}}, OK, set()),
        (WANTED | {"answered": {GATEWAY}}, OK, set()),
        ({"wanted": {"10.244.1.9": 0.0}}, OK, set()),  # a machine that is off: none of ours
        (ASKED, WARNING, {"dns-silent"}),
        (ASKED | {"replies": Counter({DNS: 1})}, OK, set()),
        (ASKED | {"is_cut": True}, OK, set()),  # the replies may be in what was not read
        ({"queries": Counter({DNS: 2})}, OK, set()),
        ({"queries": Counter({"9.9.9.9": 5})}, OK, set()),  # not told by us
        ({"echoes": 3}, HARM, {"duplicate-mac"}),
        ({"echoes": 1}, OK, set()),  # a reflection
        ({"vlans": Counter({5: 9})}, OK, set()),  # a trunk beside what it leases
    ],
)
def test_what_is_heard_of_a_guest_that_has_its_leases(changes, status, anchors):
    told = replace(TOLD, dns=(IPv4Address(DNS),))
    guest = replace(GUEST, told=told)
    found = judged(seen(**changes), replace(STATUS, guests=(guest,)))
    assert (found[0], found[1].keys()) == (status, anchors)


@pytest.mark.parametrize(
    ("changes", "status", "anchors"),
    [
        (BY_HAND, OK, set()),
        (BY_HAND | {"wanted": {"10.244.1.9": 0.0}}, WARNING, {"wrong-gateway"}),
        ({"vlans": Counter({5: 9})}, HARM, {"vlan"}),
    ],
)
def test_what_is_heard_of_a_guest_that_asked_nothing(changes, status, anchors):
    found = judged(seen(**changes), asked={}, counters={})
    assert (found[0], found[1].keys()) == (status, anchors)


@pytest.mark.parametrize(
    ("look", "status", "anchors"),
    [
        ({"queues": {"tap0": ("filters of clsact",)}}, WARNING, {"traffic-control"}),
        ({"queues": {"eth7": ("filters of clsact",)}}, OK, set()),
        ({"ports": {MAC: frozenset({"eth0-nic"})}}, HARM, {"duplicate-mac"}),
        ({"ports": {MAC: frozenset({"tap0", "eth0"})}}, OK, set()),
        ({"ports": {"0a:58:0a:f4:01:01": frozenset({"tap0"})}}, HARM, {"gateway-at-tap"}),
        ({"unsaved": "there is no space left in /x"}, WARNING, {"not-saved"}),
        ({"traffic": {"default": Traffic(was_asked=True)}}, WARNING, {"silent-guest"}),
        ({"hook_socket": False}, WARNING, {"hook-socket"}),
        ({"guard": Observed()}, OK, set()),
    ],
)
def test_what_is_seen_beside_the_frames(look, status, anchors):
    found = judged(replace(LOOK, **look))
    assert (found[0], found[1].keys()) == (status, anchors)


def test_answers_that_the_guest_does_not_take():
    again = replace(answered("REPLY"), count=4)
    asked = {**GIVEN, "SOLICIT": again}
    assert judged(asked=asked)[1].keys() == {"no-request"}
    assert judged(seen(**BY_HAND), asked=asked)[0] == OK  # it answers for the address
    later = replace(LOOK, epoch=LOOK.epoch + 600)
    assert judged(later, asked=asked)[0] == OK  # long ago
    assert judged(asked={**GIVEN, "SOLICIT": replace(again, count=2)})[0] == OK
    times = replace(answered("RA"), count=3)
    assert "ra-not-taken" in judged(asked={"REQUEST": answered("ACK"), "RS": times})[1]
