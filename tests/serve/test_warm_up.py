"""Answers for nobody change nothing but the time of those that follow."""

from dataclasses import replace

import pytest

from binding.serve.responder import Responder
from binding.serve.warm_up import requests, warm_up
from tests.samples import GUEST

SERVED = replace(GUEST, provider="in-pod", ipv4_mode="dhcp", ipv6_mode="dhcp")


def test_it_is_a_boot_that_a_guest_would_be_answered():
    one = Responder(SERVED, 0.0)
    said = [one.from_guest(frame, 0.0).exchanges for frame in requests(SERVED)]
    asked = [[(x.request, x.reply) for x in exchanges if x.request] for exchanges in said]
    assert asked == [
        [("DISCOVER", "OFFER")],
        [("RS", "RA")],
        [("SOLICIT", "ADVERTISE")],
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "auto"},
        {"provider": "kube-ovn"},
        {"ipv4": ()},
        {"ipv6": ()},
        {"ipv4_mode": "off", "ipv6_mode": "off"},
        {"migration_target": True},
    ],
)
def test_any_guest_can_be_warm_upd(changes):
    warm_up(replace(SERVED, **changes))


def test_a_rehearsal_leaves_no_trace():
    warm_up(SERVED)
    one = Responder(SERVED, 0.0)
    assert not one.counters
    assert not one.is_here
