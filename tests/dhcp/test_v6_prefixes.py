"""Which prefix each IA_PD gets (RFC 8415 section 18.3, RFC 8168)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from ipaddress import IPv6Network

import pytest

from tests.dhcp.test_v6_associations import ASSIGNING, ias
from tests.dhcp.v6_wire import (
    CLIENT_ID,
    CONFIRM,
    DECLINE,
    GUEST,
    INFORMATION_REQUEST,
    RELEASE,
    SERVER_ID,
    SOLICIT,
    ask,
    ia_na,
    ia_pd,
    option,
    oro,
    refused,
    told,
)

LARGE, SMALL = "fd64:7::/56", "fd64:8::/60"
ROUTER = replace(GUEST, delegated=(IPv6Network(LARGE),))
TWO = replace(GUEST, delegated=(IPv6Network(LARGE), IPv6Network(SMALL)))
RAPID_COMMIT = option(14)


def delegated(iaid, prefix=LARGE, times="T1 inf T2 inf", lifetimes="inf/inf"):
    return f"IA_PD {iaid:#x} {times}: {prefix} {lifetimes}"


@pytest.mark.parametrize("kind", ASSIGNING)
@pytest.mark.parametrize("iaid", [0, 1, 0xFFFFFFFF])
def test_any_iaid_gets_the_prefix(kind, iaid):
    assert ias(ROUTER, kind, ia_pd(iaid)) == [delegated(iaid)]


@pytest.mark.parametrize("kind", ASSIGNING)
def test_address_and_prefix_come_in_one_answer(kind):
    """RFC 7550: one session for all that a router needs."""
    assert ias(ROUTER, kind, ia_na(1), ia_pd(1)) == [
        "IA_NA 0x1 T1 inf T2 inf: fd77::42 inf/inf",
        delegated(1),
    ]
    note = ask(ROUTER, *ASSIGNING[kind], ia_na(1), ia_pd(1)).note
    assert note == f"fd77::42, prefix {LARGE}, lease infinite"


@pytest.mark.parametrize("kind", ASSIGNING)
def test_each_ia_pd_gets_one_prefix_and_those_beyond_a_status(kind):
    """In the order of IAIDs, whatever the order in the message: the next boot gets the same."""
    for order in itertools.permutations((1, 2, 3)):
        answers = ias(TWO, kind, *map(ia_pd, order))
        assert sorted(answers) == [
            delegated(1),
            delegated(2, SMALL),
            "IA_PD 0x3: NoPrefixAvail",
        ]


@pytest.mark.parametrize("kind", ASSIGNING)
def test_the_note_says_how_many_ia_pd_go_without_a_prefix(kind):
    """Some routers (odhcp6c -F) take no address without a prefix, and ask for ever."""
    many = [ia_pd(iaid) for iaid in range(3)]
    assert ask(GUEST, *ASSIGNING[kind], ia_na(1), many[0]).note == (
        "fd77::42, lease infinite, no prefix for 1 of 1 IA_PD"
    )
    assert ask(ROUTER, *ASSIGNING[kind], *many).note == (
        f"prefix {LARGE}, lease infinite, no prefix for 2 of 3 IA_PD"
    )
    assert ask(GUEST, *ASSIGNING[kind], many[0]).note == "no address, no prefix for 1 of 1 IA_PD"


@pytest.mark.parametrize("kind", ASSIGNING)
def test_ia_pd_that_names_a_prefix_of_ours_keeps_it(kind):
    """So a client keeps what it has, though it now asks for less, or in another order."""
    assert ias(TWO, kind, ia_pd(1), ia_pd(2, LARGE)) == [delegated(1, SMALL), delegated(2)]
    assert ias(TWO, kind, ia_pd(2, SMALL)) == [delegated(2, SMALL)]


@pytest.mark.parametrize(
    ("wish", "given"),
    [("::/56", LARGE), ("::/60", SMALL), ("::/58", LARGE), ("::/64", SMALL), ("::/48", LARGE)],
)
@pytest.mark.parametrize("kind", ASSIGNING)
def test_a_wish_for_a_length_chooses_the_prefix(kind, wish, given):
    """RFC 8168 section 3.2: that length, else the next larger network, else the largest."""
    assert ias(TWO, kind, ia_pd(9, wish)) == [delegated(9, given)]


@pytest.mark.parametrize("kind", ASSIGNING)
def test_a_wish_that_cannot_be_met_gets_what_there_is(kind):
    """Section 18.3.2 leaves a hint to the server; a router is better off with another length."""
    assert ias(ROUTER, kind, ia_pd(1, "::/48")) == [delegated(1)]
    assert ias(ROUTER, kind, ia_pd(1, "::/0")) == [delegated(1)]


@pytest.mark.parametrize("kind", ["SOLICIT", "REQUEST"])
@pytest.mark.parametrize("foreign", ["2001:db8::/56", "fd64:7::/64", "fd64:7:0:10::/60"])
def test_foreign_prefix_is_a_hint_when_a_prefix_is_asked_for(kind, foreign):
    assert ias(ROUTER, kind, ia_pd(1, foreign)) == [delegated(1)]


@pytest.mark.parametrize("kind", ["RENEW", "REBIND"])
def test_foreign_prefix_comes_back_dead_beside_the_right_one(kind):
    """Sections 18.3.4 and 18.3.5: the router must withdraw what leads nowhere."""
    named = ia_pd(1, "2001:db8::/56", LARGE, "::/60")
    assert ias(ROUTER, kind, named) == [delegated(1) + ", 2001:db8::/56 0/0"]
    beyond = ia_pd(1, LARGE), ia_pd(2, LARGE)
    assert ias(ROUTER, kind, *beyond) == [delegated(1), f"IA_PD 0x2: {LARGE} 0/0"]


@pytest.mark.parametrize("kind", ["RENEW", "REBIND"])
def test_prefix_that_is_no_longer_delegated_ends_at_the_renewal(kind):
    assert ias(GUEST, kind, ia_pd(1, LARGE)) == [f"IA_PD 0x1: {LARGE} 0/0"]


@pytest.mark.parametrize("kind", ASSIGNING)
def test_lifetimes_follow_the_lease(kind):
    guest = replace(ROUTER, lease=3600)
    assert ias(guest, kind, ia_pd(1)) == [delegated(1, LARGE, "T1 1800 T2 2880", "3600/3600")]


def test_without_an_address_there_is_still_a_prefix():
    """The guest makes its own address (SLAAC), or asks for none."""
    slaac = replace(ROUTER, ipv6_mode="slaac")
    assert told(slaac, SOLICIT, CLIENT_ID, ia_na(1), ia_pd(1), oro(82)) == [
        "7 ff",
        "IA_NA 0x1: NoAddrsAvail",
        delegated(1),
        "82 00000e10",
    ]
    assert ask(ROUTER, SOLICIT, CLIENT_ID, ia_pd(1)).note == f"prefix {LARGE}, lease infinite"


def test_rapid_commit():
    answers = told(ROUTER, SOLICIT, CLIENT_ID, RAPID_COMMIT, ia_pd(1))
    assert answers == ["14", delegated(1)]
    refused_prefix = told(GUEST, SOLICIT, CLIENT_ID, RAPID_COMMIT, ia_pd(1))
    assert refused_prefix == ["IA_PD 0x1: NoPrefixAvail"]


def test_released_prefix_is_a_success_and_a_foreign_one_has_no_binding():
    release = RELEASE, CLIENT_ID, SERVER_ID
    assert told(ROUTER, *release, ia_pd(1, LARGE)) == ["Success"]
    assert ask(ROUTER, *release, ia_pd(1, LARGE)).note == LARGE
    assert told(ROUTER, *release, ia_pd(1, "2001:db8::/56"), ia_pd(2)) == [
        "Success",
        "IA_PD 0x1: NoBinding",
        "IA_PD 0x2: NoBinding",
    ]
    # And it is delegated again to whoever asks next.
    assert ias(ROUTER, "SOLICIT", ia_pd(7)) == [delegated(7)]


def test_only_addresses_can_be_declined_and_confirmed():
    """Sections 18.2.8 and 18.3.3; a CONFIRM without an address gets silence."""
    decline = ask(ROUTER, DECLINE, CLIENT_ID, SERVER_ID, ia_pd(1, LARGE))
    assert not decline.warning
    assert told(ROUTER, DECLINE, CLIENT_ID, SERVER_ID, ia_pd(1, LARGE)) == [
        "Success",
        "IA_PD 0x1: NoBinding",
    ]
    assert not ask(ROUTER, CONFIRM, CLIENT_ID, ia_pd(1, LARGE)).frame
    assert told(ROUTER, CONFIRM, CLIENT_ID, ia_na(1, "fd77::42"), ia_pd(1, LARGE)) == ["Success"]
    assert not ask(ROUTER, INFORMATION_REQUEST, CLIENT_ID, ia_pd(1)).frame


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        (option(26, bytes(24)), "IA_PD with a prefix that is cut off"),
        (option(26, bytes(25))[:-1], "IA_PD with a prefix that is cut off"),
        (option(26, bytes(8) + b"\x81" + bytes(16)), "IA_PD with a prefix of 129 bits"),
        (option(26, bytes(25)) * 129, "more than 128 options in its IAs"),
    ],
)
def test_broken_prefix_refuses_the_message(inside, why):
    assert refused(ask(ROUTER, SOLICIT, CLIENT_ID, option(25, bytes(12) + inside)), why)


def test_sixteen_prefixes_fit_beside_the_address_into_the_least_mtu():
    many = tuple(IPv6Network(f"fd64:{n:x}::/56") for n in range(16))
    guest = replace(GUEST, delegated=many, mtu=1280)
    lines = ias(guest, "REQUEST", ia_na(1), *map(ia_pd, range(16)))
    assert len([line for line in lines if "fd64:" in line]) == 16
