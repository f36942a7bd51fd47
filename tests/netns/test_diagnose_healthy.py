"""Guests to which nothing is wrong: `diagnose` must not warn of any."""

from __future__ import annotations

import pytest

from tests.bed.clients import client
from tests.bed.diagnosis import diagnose, solicit, until_well
from tests.bed.guests import started
from tests.bed.repeated import again_and_again

OK = 0
HEALTHY = {
    "flat": ("flat", "managed", "networkd", (4, 6), {}),
    "own": ("flat", "own", "dhcpcd", (4, 6), {}),
    "calico": ("calico", "managed", "dhclient", (4, 6), {}),
    "cilium": ("cilium", "managed", "networkd", (4, 6), {}),
    "aws": ("aws-vpc-cni", "managed", "networkd", (4, 6), {}),
    "ipv4 only": ("flat", "managed", "udhcpc", (4,), {"ipv6": "off"}),
    "ipv6 only": ("flat", "managed", "dhclient", (6,), {"ipv4": "off"}),
    "slaac": ("flat", "managed", "networkd", (4,), {"ipv6": "slaac"}),
    "finite lease": ("flat", "managed", "networkd", (4, 6), {"lease": 3600}),
    "no shield": ("flat", "managed", "networkd", (4, 6), {"shield": False}),
}


FIRST = ("flat", "own", "aws", "ipv6 only", "slaac")
"""Those of `make test`."""
KINDS = [pytest.param(one, marks=() if one in FIRST else pytest.mark.matrix) for one in HEALTHY]


@pytest.mark.parametrize("kind", KINDS)
def test_a_healthy_guest_gives_no_warning(kind, tmp_path):
    layout, shape, name, families, settings = HEALTHY[kind]
    annotations = {"dsbridge.io/default": settings} if settings else None
    with (
        started(layout, shape, annotations) as vm,
        client(name, vm.guest, tmp_path, families=families) as guest,
    ):
        guest.lease(30)
        if name == "networkd":
            solicit(vm)
        until_well(vm)
        for _ in range(2):
            assert diagnose(vm).status == OK, diagnose(vm).said


def test_a_guest_that_has_its_addresses_by_hand_gives_no_warning():
    with started("flat", "managed") as vm:
        vm.guest.sysctl(ipv6__conf__eth0__accept_ra=0)
        vm.guest.ip("""
            link set eth0 up
            addr add 10.244.1.5/24 dev eth0
            addr add fd00:10:244:1::5/64 dev eth0 nodad
            route add default via 10.244.1.1
            route add default via fd00:10:244:1::1""")
        with again_and_again(lambda: vm.guest.reaches("192.0.2.10")):
            until_well(vm)
