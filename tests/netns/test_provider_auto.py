"""`provider: auto` against a real OVN: it serves where it offers the pod's address, else we do."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from ipaddress import IPv6Interface

import pytest

from tests.bed.capture import capture
from tests.bed.clients import client
from tests.bed.dnsmasq import dnsmasq
from tests.bed.guests import started_in
from tests.bed.ovn import COMPLETE, LAYOUT, ROUTER4, ROUTER6, ovn
from tests.bed.pod import NAMESERVERS, pod
from tests.bed.wait import until

AUTO = {"dsbridge.io/default": {"provider": "auto", "lease": 7200}}
OVNS, OURS = 3600, 7200
"""Seconds of a lease, which tell whose it is."""


def shown(vm):
    return vm.sidecar.status()["guests"][0]


def serves(vm):
    return until(lambda: shown(vm)["serves"], "a decision")


@pytest.mark.parametrize(
    "subnet, by4, by6",
    [
        pytest.param(COMPLETE, "kube-ovn", "kube-ovn", id="OVN offers both"),
        pytest.param(replace(COMPLETE, dhcp4=None), "in-pod", "kube-ovn", id="OVN offers IPv6"),
        pytest.param(
            replace(COMPLETE, dhcp4=None, dhcp6=None), "in-pod", "in-pod", id="OVN only advertises"
        ),
    ],
)
def test_each_family_is_served_by_whom_the_network_shows(subnet, by4, by6, tmp_path):
    with ovn(subnet) as made, started_in(made.pod, annotations=AUTO) as vm:
        with client("networkd", vm.guest, tmp_path) as guest:  # at once: requests wait for us
            lease = guest.lease(20, dns=NAMESERVERS)
        assert serves(vm) == {"ipv4": by4, "ipv6": by6}
        assert shown(vm)["provider"] == "auto"
        assert lease.ipv4 == LAYOUT.ipv4
        assert lease.lease_seconds == (OVNS if by4 == "kube-ovn" else OURS)
        assert lease.ipv6 == tuple(IPv6Interface(one.ip) for one in LAYOUT.ipv6)
        assert (str(lease.default4), str(lease.default6)) == (ROUTER4, LAYOUT.router)
        counters = shown(vm)["counters"]
        if by4 == "in-pod":
            assert counters["OFFER"] == counters["DISCOVER"], "the first is answered, if late"
        else:
            # That of OVN is counted, too, if it comes in once the sidecar has decided.
            offers = [one for one in vm.sidecar.log.splitlines() if '"msg":"OFFER to ' in one]
            assert all(" from " in one for one in offers), "no OFFER is ours"
            assert counters["DISCOVER"] <= 2
        assert vm.sidecar.status()["guard"] == "on"
        until(lambda: vm.guest.reaches(ROUTER6), "the router, IPv6")


def test_where_we_serve_a_family_none_of_its_requests_reaches_ovn(tmp_path):
    with (
        ovn(replace(COMPLETE, dhcp6=None, ra=None)) as made,
        started_in(made.pod, annotations=AUTO) as vm,
    ):
        assert serves(vm) == {"ipv4": "kube-ovn", "ipv6": "in-pod"}
        until(lambda: '"rs"' in vm.pod.netns.run("nft", "list", "ruleset"), "the guard of IPv6")
        with (
            capture(made.netns, "pod0") as outside,
            client("networkd", vm.guest, tmp_path) as guest,
        ):
            lease = guest.lease(20, dns=NAMESERVERS)
            asked = {dhcp(frame) for frame in outside.read().received} - {None}
        assert asked == {"DHCPv4"}
        assert "default: auto (ipv4 kube-ovn, ipv6 in-pod), managed" in vm.sidecar.cli("status")
        assert (lease.ipv4, lease.lease_seconds) == (LAYOUT.ipv4, OVNS)
        assert lease.ipv6 == tuple(IPv6Interface(one.ip) for one in LAYOUT.ipv6)


def dhcp(frame: bytes) -> str | None:
    """Say what a frame asks for, if the guest's MAC sent it."""
    if frame[6:12].hex(":") != LAYOUT.mac:
        return None
    if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == b"\x00\x43":
        return "DHCPv4"
    if frame[12:14] == b"\x86\xdd" and frame[20] == 17 and frame[56:58] == b"\x02\x23":
        return "DHCPv6"
    return "RS" if frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 133 else None


def test_who_offers_another_address_does_not_serve_the_guest(tmp_path):
    """A DHCP server in another VM of the same network must not win."""
    ranges = ("10.244.1.100,10.244.1.200,1h", "fd00:10:244:1::100,fd00:10:244:1::200,64,1h")
    with (
        pod("flat") as made,
        dnsmasq(
            made.gateway, "cni0", tmp_path, *(f"--dhcp-range={one}" for one in ranges)
        ) as other,
        started_in(made, annotations=AUTO) as vm,
    ):
        assert serves(vm) == {"ipv4": "in-pod", "ipv6": "in-pod"}
        assert "DHCPOFFER" in other.log
        assert "DHCPADVERTISE" in other.log


def test_the_choice_outlives_the_process_that_made_it():
    with ovn() as made, started_in(made.pod, annotations=AUTO) as vm:
        before = serves(vm)
        made.offer(4, None)
        made.offer(6, None)
        made.settle()
        child = next(one for one in vm.sidecar.status()["processes"] if one["name"] == "serve")
        os.kill(child["pid"], signal.SIGKILL)
        vm.guest.ip("link set eth0 up")
        until(lambda: shown(vm)["counters"].get("RA"), "the successor's report")
        assert serves(vm) == before


def test_nobody_speaks_for_a_guest_that_has_yet_to_arrive():
    with (
        ovn() as made,
        capture(made.netns, "pod0") as outside,
        started_in(made.pod, annotations=AUTO, arriving=True) as vm,
    ):
        time.sleep(2)  # longer than a search
        # The pod's own kernel may have solicited routers before it was wired.
        heard = outside.read().received
        assert [one for one in heard if dhcp(one) and one[20:21] != b"\x3a"] == []
        assert shown(vm)["serves"] == {}
        vm.guest.ip("link set eth0 up")  # its first frame
        found = {"ipv4": "kube-ovn", "ipv6": "kube-ovn"}
        until(lambda: shown(vm)["serves"] == found, "OVN is found for both families")
