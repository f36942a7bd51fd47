"""What the log says of a guest a minute after its start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from binding.ipc.status import Asked, LastExchange
from binding.sidecar.unasked import unasked
from tests.samples import GUEST

TOLD = Asked(1, LastExchange("RA", "", ""))
V4, V6 = ("DISCOVER", "REQUEST"), ("RS", "SOLICIT", "DHCPv6 REQUEST")


@pytest.mark.parametrize(
    ("asked", "frames", "text"),
    [
        ((), 0, "no frame has come in by tap0"),
        ((), 9, "is the guest's address static, or its client on a VLAN?"),
        (("RA",), 9, "is the guest's address static"),  # RA: unasked, as the guest appeared
        (V6, 9, "nothing by DHCPv4"),
        (V4, 9, "neither RS nor DHCPv6: is IPv6 off in the guest"),
        ((*V4, "RS"), 9, "RS, but no SOLICIT"),
        ((*V4, "SOLICIT"), 9, "DHCPv6, but no RS"),
    ],
)
def test_what_is_missing_and_its_usual_cause(asked, frames, text):
    assert text in unasked(GUEST, dict.fromkeys(asked, TOLD), (4, 6), frames)


@pytest.mark.parametrize(
    ("guest", "asked", "ours"),
    [
        (GUEST, (*V4, *V6), (4, 6)),
        (GUEST, ("REQUEST", *V6), (4, 6)),
        (GUEST, V4, (4,)),
        (GUEST, (), ()),
        (replace(GUEST, ipv6_mode="off"), V4, (4, 6)),
        (replace(GUEST, ipv6_mode="slaac"), (*V4, "RS"), (4, 6)),
        (replace(GUEST, ipv4=(), ipv6=()), (), (4, 6)),
    ],
)
def test_of_a_guest_that_asked_for_all_that_it_is_given_nothing_is_said(guest, asked, ours):
    assert unasked(guest, dict.fromkeys(asked, TOLD), ours, 9) == ""


def test_an_offer_that_nobody_takes():
    asked = dict.fromkeys(V6, TOLD)
    asked["DISCOVER"] = Asked(3, LastExchange("OFFER", "10.244.1.5", ""))
    assert "does the OFFER reach the client?" in unasked(GUEST, asked, (4, 6), 9)


@pytest.mark.parametrize(
    ("reply", "note"),
    [("ACK", "10.244.1.5, rapid commit"), ("OFFER", "10.244.1.5, IPv6 preferred")],
)
def test_a_client_that_needs_no_request_lacks_nothing(reply, note):
    asked = dict.fromkeys(V6, TOLD)
    asked["DISCOVER"] = Asked(1, LastExchange(reply, note, ""))
    assert unasked(GUEST, asked, (4, 6), 9) == ""


def test_an_advertise_that_nobody_takes():
    asked = dict.fromkeys((*V4, "RS"), TOLD)
    asked["SOLICIT"] = Asked(3, LastExchange("ADVERTISE", "", ""))
    assert "does the ADVERTISE reach the client?" in unasked(GUEST, asked, (4, 6), 9)
    asked["SOLICIT"] = Asked(1, LastExchange("REPLY", "", ""))
    assert unasked(GUEST, asked, (4, 6), 9) == ""
