"""What each IA_NA, IA_TA and IA_PD gets (RFC 8415 section 18.3, our choices beside it)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from ipaddress import IPv6Interface

import pytest

from tests.dhcp.v6_wire import (
    CLIENT_ID,
    CONFIRM,
    GUEST,
    REBIND,
    RENEW,
    REQUEST,
    SERVER_ID,
    SOLICIT,
    ask,
    ia_na,
    ia_pd,
    ia_ta,
    oro,
    told,
)

TWO = replace(GUEST, ipv6=(IPv6Interface("fd77::42/128"), IPv6Interface("fd78::42/64")))
BARE = replace(GUEST, ipv6=())
SLAAC = replace(GUEST, ipv6_mode="slaac")
ASSIGNING = {
    "SOLICIT": (SOLICIT, CLIENT_ID),
    "REQUEST": (REQUEST, CLIENT_ID, SERVER_ID),
    "RENEW": (RENEW, CLIENT_ID, SERVER_ID),
    "REBIND": (REBIND, CLIENT_ID),
}


def ias(guest, kind, *associations):
    lines = told(guest, *ASSIGNING[kind], *associations)
    return [line for line in lines if line.startswith("IA_")]


def given(iaid, times="T1 inf T2 inf", lifetimes="inf/inf"):
    return f"IA_NA {iaid:#x} {times}: fd77::42 {lifetimes}"


@pytest.mark.parametrize("kind", ASSIGNING)
@pytest.mark.parametrize("iaid", [0, 1, 0xFFFFFFFF])
def test_any_iaid_gets_the_address(kind, iaid):
    """Row 2; 0 is as good as any other."""
    assert ias(GUEST, kind, ia_na(iaid)) == [given(iaid)]


@pytest.mark.parametrize("kind", ASSIGNING)
def test_one_ia_gets_every_address_of_the_pod(kind):
    assert ias(TWO, kind, ia_na(5)) == [
        "IA_NA 0x5 T1 inf T2 inf: fd77::42 inf/inf, fd78::42 inf/inf"
    ]


@pytest.mark.parametrize("kind", ASSIGNING)
def test_first_of_several_ias_gets_the_addresses(kind):
    """The others learn that there are no more, each by its IAID."""
    assert ias(GUEST, kind, ia_na(9), ia_na(0), ia_na(4)) == [
        given(9),
        "IA_NA 0x0: NoAddrsAvail",
        "IA_NA 0x4: NoAddrsAvail",
    ]


@pytest.mark.parametrize("kind", ASSIGNING)
def test_ia_that_names_our_address_keeps_it_whatever_the_order(kind):
    """Else a client that lists its IAs in another order would see its address move."""
    assert ias(GUEST, kind, ia_na(9), ia_na(0, "fd77::42")) == [
        "IA_NA 0x9: NoAddrsAvail",
        given(0),
    ]


@pytest.mark.parametrize("kind", ASSIGNING)
def test_repeated_iaid_is_one_ia(kind):
    assert ias(GUEST, kind, ia_na(3), ia_na(3, "fd77::42")) == [given(3)]


@pytest.mark.parametrize("kind", ASSIGNING)
def test_ia_ta_and_ia_pd_are_refused_by_status(kind):
    """Row 38: no temporary addresses, no delegation, and the IA_NA beside them is served."""
    associations = (ia_pd(1, "2001:db8::"), ia_ta(1, "fd77::42"), ia_na(1))
    renewal = kind in ("RENEW", "REBIND")
    assert ias(GUEST, kind, *associations) == [
        "IA_PD 0x1: 2001:db8::/56 0/0" if renewal else "IA_PD 0x1: NoPrefixAvail",
        "IA_TA 0x1: NoAddrsAvail",
        given(1),
    ]


def test_order_of_options_changes_only_the_order_of_answers():
    for order in itertools.permutations((ia_na(7), ia_pd(2), ia_ta(3), oro(23))):
        answers = told(GUEST, SOLICIT, *order, CLIENT_ID)
        assert sorted(answers) == sorted(
            [
                "7 ff",
                given(7),
                "IA_PD 0x2: NoPrefixAvail",
                "IA_TA 0x3: NoAddrsAvail",
                "23 fd770000000000000000000000000053",
            ]
        )


@pytest.mark.parametrize("hint", ["::", "fd77::1", "2001:db8::1", "fe80::1"])
def test_hint_in_a_solicit_is_ignored(hint):
    assert ias(GUEST, "SOLICIT", ia_na(1, hint)) == [given(1)]


def test_request_from_elsewhere_is_not_on_link():
    """Section 18.3.2 MUST; the client asks again without hint."""
    assert ias(GUEST, "REQUEST", ia_na(1, "2001:db8::1")) == ["IA_NA 0x1: NotOnLink"]
    assert ias(GUEST, "REQUEST", ia_na(1, "::")) == [given(1)]
    assert ask(GUEST, *ASSIGNING["REQUEST"], ia_na(1, "2001:db8::1")).note == "no address"


def test_request_from_elsewhere_in_one_ia_leaves_the_addresses_to_the_next():
    """NotOnLink is each IA's own; what one cannot have, the other gets."""
    assert ias(GUEST, "REQUEST", ia_na(1, "2001:db8::1"), ia_na(2)) == [
        "IA_NA 0x1: NotOnLink",
        given(2),
    ]


def test_request_for_a_neighbour_on_our_link_gets_our_addresses():
    """fd78::/64 is on-link, so the request is not misplaced, only outdated."""
    assert ias(TWO, "REQUEST", ia_na(1, "fd78::43")) == [
        "IA_NA 0x1 T1 inf T2 inf: fd77::42 inf/inf, fd78::42 inf/inf"
    ]


@pytest.mark.parametrize("kind", ["RENEW", "REBIND"])
def test_foreign_address_comes_back_dead_beside_the_right_one(kind):
    """Row 22: a renewal is not a request; the guest must let go of what is not its own."""
    assert ias(GUEST, kind, ia_na(1, "fd77::41", "fd77::42", "2001:db8::1")) == [
        "IA_NA 0x1 T1 inf T2 inf: fd77::42 inf/inf, fd77::41 0/0, 2001:db8::1 0/0"
    ]


@pytest.mark.parametrize("kind", ["RENEW", "REBIND"])
def test_second_ia_loses_the_addresses_that_it_names(kind):
    assert ias(GUEST, kind, ia_na(1, "fd77::42"), ia_na(2, "fd77::42")) == [
        given(1),
        "IA_NA 0x2: fd77::42 0/0",
    ]


@pytest.mark.parametrize("guest", [BARE, SLAAC], ids=["IPv4-only pod", "SLAAC"])
@pytest.mark.parametrize("kind", ASSIGNING)
def test_without_addresses_the_status_is_no_addrs_avail(guest, kind):
    """And no preference: the client is free to wait for somebody else."""
    assert told(guest, *ASSIGNING[kind], ia_na(1)) == ["IA_NA 0x1: NoAddrsAvail"]
    assert ask(guest, *ASSIGNING[kind], ia_na(1)).note == "no address"


@pytest.mark.parametrize("guest", [BARE, SLAAC], ids=["IPv4-only pod", "SLAAC"])
@pytest.mark.parametrize("kind", ["RENEW", "REBIND"])
def test_without_addresses_a_renewal_ends_the_old_lease(guest, kind):
    assert told(guest, *ASSIGNING[kind], ia_na(1, "fd77::42")) == ["IA_NA 0x1: fd77::42 0/0"]


@pytest.mark.parametrize("guest", [BARE, SLAAC], ids=["IPv4-only pod", "SLAAC"])
def test_without_addresses_nothing_is_confirmed(guest):
    assert told(guest, CONFIRM, CLIENT_ID, ia_na(1, "fd77::42")) == ["NotOnLink"]


def test_mode_both_is_stateful():
    assert ias(replace(GUEST, ipv6_mode="both"), "REQUEST", ia_na(1)) == [given(1)]


@pytest.mark.parametrize(
    ("lease", "times", "lifetimes"),
    [
        (None, "T1 inf T2 inf", "inf/inf"),
        (0xFFFFFFFF, "T1 inf T2 inf", "inf/inf"),
        (3600, "T1 1800 T2 2880", "3600/3600"),
        (121, "T1 60 T2 96", "121/121"),
    ],
)
@pytest.mark.parametrize("kind", ASSIGNING)
def test_lifetimes_follow_the_lease(kind, lease, times, lifetimes):
    """T1 half and T2 four fifths of the preferred lifetime (section 21.4)."""
    guest = replace(GUEST, lease=lease)
    assert ias(guest, kind, ia_na(1)) == [given(1, times, lifetimes)]


def test_note_says_what_was_given_and_for_how_long():
    guest = replace(TWO, lease=3600)
    exchange = ask(guest, *ASSIGNING["REQUEST"], ia_na(1))
    assert exchange.note == "fd77::42 fd78::42, lease 3600 s"
