"""What `diagnose` makes of the frames that it has seen between a guest and its network."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from binding.ipc.status import Warned
from binding.operator.traffic import Traffic
from tests.operator.judged import GIVEN, HARM, LOOK, OK, TIME, WARNING, answered, judged, said_well

UP = {"10.244.1.5", "fd00::5"}
PATH = {
    "what leaves": (
        Traffic(has_nic=True, answers=UP, told=Counter({"ARP replies": 7})),
        "held-inside",
        "comes in by tap0 and does not leave by eth0-nic",
    ),
    "what comes": (
        Traffic(answers=UP, asked={"10.244.1.1"}, claimed={"10.244.1.1": "0a:58:0a:f4:01:01"}),
        "held-inside",
        "gateway 10.244.1.1 answers the guest comes in by eth0-nic and does not go out by tap0",
    ),
    "nothing comes": (
        Traffic(answers=UP, asked={"10.244.1.1"}),
        "gateway-mac",
        "gateway 10.244.1.1 does not answer",
    ),
    "deaf": (
        Traffic(
            answers={"fd00::5"},
            was_asked=True,
            sources={"10.244.1.5": IPv4Address("10.244.1.5")},
        ),
        "deaf-guest",
        "uses 10.244.1.5/24, and answers no ARP requests",
    ),
    "lost": (
        Traffic(answers={"10.244.1.5"}, was_asked=True),
        "silent-guest",
        "does not answer for fd00::5/64 now",
    ),
}


@pytest.mark.parametrize("case", PATH)
def test_a_guest_that_is_cut_off_by_what_was_seen_of_its_frames(case):
    traffic, anchor, text = PATH[case]
    status, wrong = judged(replace(LOOK, traffic={"default": traffic}))
    assert (status, wrong.keys()) == (HARM, {anchor})
    assert text in wrong[anchor].text
    assert wrong[anchor].remedy


def test_what_more_traffic_than_is_read_shows_is_not_judged():
    told = Counter({"ARP replies": 7})
    traffic = Traffic(has_nic=True, is_cut=True, answers=UP, told=told, was_asked=True)
    assert judged(replace(LOOK, traffic={"default": traffic}))[0] == OK


@pytest.mark.parametrize(
    ("address", "expected"), [("10.244.1.200", OK), ("172.17.0.1", OK), ("10.244.1.1", HARM)]
)
def test_what_a_guest_uses_besides_its_own_address(address, expected):
    """A VIP, and a container: no harm; the address of its gateway is one."""
    sources = {one: IPv4Address(one) for one in ("10.244.1.5", address)}
    traffic = Traffic(answers=UP, sources=sources)
    look = replace(LOOK, traffic={"default": traffic})
    assert judged(look)[0] == expected
    assert (f"besides its own the guest uses {address}" in said_well(look)) == (expected == OK)


def test_a_guest_that_asks_for_anothers_address_though_it_has_its_own():
    """As a second DHCP client in it; a guest that asked so before it was given its own is well."""
    later = "2026-11-27T01:00:09.000000Z"
    refused = {**GIVEN, "REQUEST": answered("NAK", "10.244.1.77, INIT-REBOOT", later)}
    status, wrong = judged(asked=refused)
    assert (status, wrong.keys()) == (WARNING, {"refused-address"})
    assert "refused since: 10.244.1.77" in wrong["refused-address"].text


def test_a_gateway_that_answers_for_the_guests_address_is_a_proxy_and_no_other_host():
    proxy = Traffic(claimed={"10.244.1.5": "0a:58:0a:f4:01:01"})
    assert judged(replace(LOOK, traffic={"default": proxy}))[0] == OK


def test_another_host_with_the_guests_address_that_has_left_is_no_harm_any_more():
    text = "another host has the guest's address 10.244.1.5: 02:00:00:00:00:99"
    warned = (Warned("event", text, TIME, "duplicate-address"),)
    assert judged(warned=warned)[0] == HARM  # nobody was asked
    asked = replace(LOOK, traffic={"default": Traffic(probes=2)})
    assert judged(asked, warned=warned)[0] == WARNING
    still = Traffic(probes=2, claimed={"10.244.1.5": "02:00:00:00:00:99"})
    assert judged(replace(LOOK, traffic={"default": still}), warned=warned)[0] == HARM
