"""A real OVN, configured as Kube-OVN does, serves the guest; the sidecar watches and tells."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv6Interface

from tests.bed.capture import capture
from tests.bed.clients import client
from tests.bed.guests import started_in
from tests.bed.ovn import COMPLETE, DEFAULTS, LAYOUT, ROUTER4, ROUTER6, ovn
from tests.bed.pod import NAMESERVERS
from tests.bed.udhcpc import leased
from tests.bed.wait import until

KUBE_OVN = {"dsbridge.io/default": {"provider": "kube-ovn"}}


def shown(vm):
    return vm.sidecar.status()["guests"][0]


def said(vm, text):
    """Return when the log had a warning with this text, if it has."""
    lines = map(json.loads, vm.sidecar.log.splitlines())
    return next(
        (one["timestamp"] for one in lines if one["level"] == "warning" and text in one["msg"]), ""
    )


def test_ovn_serves_both_families_and_we_send_nothing(tmp_path):
    with ExitStack() as stack:
        made = stack.enter_context(ovn())
        vm = stack.enter_context(started_in(made.pod, annotations=KUBE_OVN))
        at_nic = stack.enter_context(capture(made.pod.netns, "eth0-nic"))
        at_tap = stack.enter_context(capture(made.pod.netns, "tap0"))
        guest = stack.enter_context(client("networkd", vm.guest, tmp_path))
        lease = guest.lease(15, dns=NAMESERVERS)
        assert lease.ipv4 == LAYOUT.ipv4
        assert lease.ipv6 == tuple(IPv6Interface(one.ip) for one in LAYOUT.ipv6)
        assert (str(lease.default4), str(lease.default6)) == (ROUTER4, LAYOUT.router)
        until(lambda: vm.guest.reaches(ROUTER4), "the router, IPv4")
        until(lambda: vm.guest.reaches(ROUTER6), "the router, IPv6")
        only_others_spoke(made.pod.netns, at_nic, at_tap)
        seen = {"DISCOVER", "OFFER", "REQUEST", "ACK", "RA", "REPLY"}
        until(lambda: seen <= shown(vm)["counters"].keys(), "a report")
        assert shown(vm)["serves"] == {"ipv4": "kube-ovn", "ipv6": "kube-ovn"}
        assert shown(vm)["warnings"] == []
        assert vm.sidecar.status()["guard"] == "on"
        assert "OVN's" in vm.sidecar.cli("status")
        assert "has been given 10.16.0.7/16 by DHCPv4" in vm.sidecar.cli("diagnose")


def only_others_spoke(pod, at_nic, at_tap):
    """Whatever the guest got came in at the NIC, to the byte; what left has the guest's MAC."""
    given = list(at_tap.read().sent)  # before the NIC, where each frame was earlier
    came, left = at_nic.read().received, at_nic.sent
    links = {"k6t-eth0", "eth0-nic", "tap0"}  # on which KubeVirt leaves IPv6 on
    kernels = {octets(link["address"]) for link in pod.query("link") if link["ifname"] in links}
    theirs = [frame for frame in given if frame[6:12] not in kernels]
    assert len(theirs) >= 5  # OFFER, ACK, RA, ADVERTISE, REPLY
    assert [frame for frame in theirs if frame not in came] == []
    assert {frame[6:12] for frame in left} - kernels == {octets(LAYOUT.mac)}


def octets(mac):
    return bytes.fromhex(mac.replace(":", ""))


MISCONFIGURED = {
    # in the words of Kube-OVN: what is wrong, whose client shows it, what the operator reads
    "enableDHCP off": (
        replace(COMPLETE, dhcp4=None, dhcp6=None),
        "networkd",
        ["enableDHCP: no OFFER", "enableDHCP: no ADVERTISE"],
    ),
    "enableIPv6RA off": (replace(COMPLETE, ra=None), "dhclient", ["enableIPv6RA: no RA"]),
    "underlay subnet without logical router": (
        replace(COMPLETE, router=False),
        "networkd",
        ["an underlay subnet has no logical router"],
    ),
    "no dns_server": (
        DEFAULTS,
        "networkd",
        ["add dns_server to dhcpV4Options", "add dns_server to dhcpV6Options"],
    ),
    "dual-stack with dhcp-v4-options only": (
        replace(COMPLETE, dhcp6=None),
        "networkd",
        ["dhcp-v6-options"],
    ),
    "address_mode slaac": (
        replace(COMPLETE, ra=COMPLETE.ra | {"address_mode": "slaac"}),
        "kernel-ra",
        ["address_mode=dhcpv6_stateful"],
    ),
}


def test_each_misconfiguration_is_named_within_10_seconds(tmp_path):
    with ExitStack() as stack:
        begun = {}
        for number, (name, (subnet, program, _)) in enumerate(MISCONFIGURED.items()):
            made = stack.enter_context(ovn(subnet))
            vm = stack.enter_context(started_in(made.pod, annotations=KUBE_OVN))
            begun[name] = vm, datetime.now(UTC)
            stack.enter_context(client(program, vm.guest, tmp_path / str(number)))
        for name, (vm, start) in begun.items():
            for text in MISCONFIGURED[name][2]:
                late = until(partial(said, vm, text), f"{name}: {text}")
                assert (datetime.fromisoformat(late) - start).total_seconds() < 10, (name, text)
                assert any(text in warning for warning in shown(vm)["warnings"])


def test_a_warning_goes_away_once_the_subnet_is_mended(tmp_path):
    with (
        ovn(replace(COMPLETE, dhcp4=None)) as made,
        started_in(made.pod, annotations=KUBE_OVN) as vm,
        client("udhcpc", vm.guest, tmp_path) as guest,
    ):
        until(lambda: shown(vm)["warnings"], "enableDHCP")
        made.offer(4, COMPLETE.dhcp4)
        made.settle()
        until(lambda: guest.observe().ipv4, "a lease")
        until(lambda: not shown(vm)["warnings"], "no warning any more")


def test_a_guest_that_changed_its_mac_is_told_apart():
    with ovn() as made, started_in(made.pod, annotations=KUBE_OVN) as vm:
        vm.guest.ip("link set eth0 address 02:00:00:00:00:99 up")
        assert not leased(vm.guest, tries=1)
        until(lambda: said(vm, "MAC: the guest sends from 02:00:00:00:00:99"), "the other MAC")
        assert any("02:00:00:00:00:99" in warning for warning in shown(vm)["warnings"])


def test_an_answer_that_comes_while_we_wake_from_rest_is_not_missed(tmp_path):
    with (
        ovn() as made,
        started_in(made.pod, annotations=KUBE_OVN) as vm,
        client("networkd", vm.guest, tmp_path) as guest,
    ):
        guest.lease(15, dns=NAMESERVERS)

        def serve():
            return next(p for p in vm.sidecar.status()["processes"] if p["name"] == "serve")

        until(lambda: serve()["resting"], "rest", 30)
        asked = shown(vm)["counters"]["REQUEST"]
        guest.renew()
        until(lambda: shown(vm)["counters"]["REQUEST"] > asked, "the renewal is seen")
        until(lambda: serve()["resting"], "rest", 30)  # later than any warning
        assert shown(vm)["warnings"] == []
        assert shown(vm)["last"]["REQUEST"]["reply"] == "ACK"
