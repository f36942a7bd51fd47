"""A real OVN, configured as Kube-OVN does, serves the guest; the sidecar watches and tells."""

from __future__ import annotations

import json
from ipaddress import IPv6Interface

import pytest

from tests.bed.clients import client
from tests.bed.ovn import LAYOUT, ROUTER4, ROUTER6, ovn
from tests.bed.pod import NAMESERVERS
from tests.bed.wait import until
from tests.netns.guests import started_in

pytestmark = pytest.mark.netns
KUBE_OVN = {"dsbridge.io/default": {"provider": "kube-ovn"}}


def shown(vm):
    return vm.sidecar.status()["guests"][0]


def logged(vm):
    return [json.loads(line)["msg"] for line in vm.sidecar.log.splitlines() if line[:1] == "{"]


def test_ovn_serves_both_families_and_we_send_nothing(tmp_path):
    with ovn() as made, started_in(made.pod, annotations=KUBE_OVN) as vm:
        with client("networkd", vm.guest, tmp_path) as guest:
            lease = guest.lease(15, dns=NAMESERVERS)
            assert lease.ipv4 == LAYOUT.ipv4
            assert lease.ipv6 == tuple(IPv6Interface(one.ip) for one in LAYOUT.ipv6)
            assert (str(lease.default4), str(lease.default6)) == (ROUTER4, LAYOUT.router)
            until(lambda: vm.guest.reaches(ROUTER4), "the router, IPv4")
            until(lambda: vm.guest.reaches(ROUTER6), "the router, IPv6")
        counters = until(lambda: shown(vm)["counters"], "a report")
        assert {"DISCOVER", "OFFER", "REQUEST", "ACK", "RA", "REPLY"} <= counters.keys()
        assert shown(vm)["serves"] == {"ipv4": "kube-ovn", "ipv6": "kube-ovn"}
        assert shown(vm)["warnings"] == []
        assert vm.sidecar.status()["guard"] == "on"
