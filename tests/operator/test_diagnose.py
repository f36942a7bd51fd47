"""What an operator is told of a sidecar, by the status that it gives."""

from __future__ import annotations

from typing import Any

import pytest

from binding.operator.diagnose import findings

GUEST: dict[str, Any] = {
    "network": "default",
    "provider": "in-pod",
    "serves": {"ipv4": "in-pod", "ipv6": "in-pod"},
    "modes": {"ipv4": "dhcp", "ipv6": "dhcp"},
    "ipv4": ["10.244.1.5/24"],
    "ipv6": ["fd00::5/64"],
    "router": None,
    "counters": {"ACK": 1, "REPLY": 1, "RA": 3},
    "arrived": False,
    "warnings": [],
}
STATUS: dict[str, Any] = {
    "plugin": "dsbridge",
    "guard": "on",
    "warnings": [],
    "guests": [GUEST],
    "processes": [{"name": "hooks"}, {"name": "serve", "restarts": 0}],
}
GRANTED = frozenset({"NET_RAW", "NET_ADMIN"})


def problems(status: dict[str, Any], granted: frozenset[str] = GRANTED) -> list[str]:
    return [finding.text for finding in findings(status, granted) if not finding.well]


def of_guest(**changes: object) -> list[str]:
    return problems(STATUS | {"guests": [GUEST | changes]})


def test_a_guest_that_has_everything_is_well():
    assert not problems(STATUS)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"counters": {"REPLY": 1, "RA": 1}}, "no ACK, so it lacks 10.244.1.5/24"),
        ({"counters": {"ACK": 1, "RA": 1}}, "no REPLY, so it lacks fd00::5/64"),
        ({"counters": {"ACK": 1, "REPLY": 1}}, "no RA, so it lacks fd00::5/64"),
    ],
)
def test_a_guest_that_lacks_something_is_not(changes, missing):
    (problem,) = of_guest(**changes)
    assert missing in problem


def test_a_guest_that_came_by_migration_need_not_ask_again():
    assert not of_guest(arrived=True, counters={"RA": 1})


def test_only_the_address_that_dhcpv4_gives_is_said_to_be_given():
    found = findings(
        STATUS | {"guests": [GUEST | {"ipv4": ["10.0.0.5/24", "10.0.0.6/24"]}]}, GRANTED
    )
    (text,) = [finding.text for finding in found if "DHCPv4" in finding.text]
    assert "10.0.0.5/24" in text
    assert "10.0.0.6" not in text


@pytest.mark.parametrize(
    ("modes", "counters"),
    [
        ({"ipv4": "off", "ipv6": "dhcp"}, {"REPLY": 1, "RA": 1}),
        ({"ipv4": "dhcp", "ipv6": "off"}, {"ACK": 1}),
        ({"ipv4": "dhcp", "ipv6": "slaac"}, {"ACK": 1, "RA": 1}),
        ({"ipv4": "dhcp", "ipv6": "both"}, {"ACK": 1, "RA": 1, "REPLY": 1}),
    ],
)
def test_only_what_is_served_can_be_missing(modes, counters):
    assert not of_guest(modes=modes, counters=counters)


@pytest.mark.parametrize(
    ("guard", "guest", "said"),
    [
        ("on", {}, "no other server reaches the guests"),
        ("on", {"provider": "kube-ovn", "serves": {}}, "no guest is a server or router for others"),
        ("not needed", {"provider": "off", "serves": {}}, "no guard is needed"),
    ],
)
def test_the_guard_is_said_to_do_what_it_does(guard, guest, said):
    found = findings(STATUS | {"guard": guard, "guests": [GUEST | guest]}, GRANTED)
    assert [said in finding.text for finding in found if "guard" in finding.text] == [True]
    assert all(finding.well for finding in found)


def test_a_guard_that_is_off_comes_with_its_remedy():
    without, granted = (
        next(one for one in findings(STATUS | {"guard": "off"}, held) if "the guard" in one.text)
        for held in (GRANTED - {"NET_ADMIN"}, GRANTED)
    )
    assert "deploy/policy" in without.remedy
    assert granted.remedy == "a warning of the guest tells why"


def test_a_warning_about_no_guest_is_a_problem():
    assert problems(STATUS | {"warnings": ["no interface is ours"]}) == ["no interface is ours"]
