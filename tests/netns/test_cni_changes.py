"""What the CNI changes under a running guest: the guest is told, as far as its protocols allow."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptMTU, ICMPv6NDOptRouteInfo
from scapy.layers.l2 import Ether

from tests.bed.capture import capture
from tests.bed.guests import started
from tests.bed.udhcpc import leased
from tests.bed.wait import until


@contextmanager
def running(shape):
    with started("flat", shape) as vm:
        vm.guest.ip("link set eth0 up")
        assert leased(vm.guest)
        yield vm


def guest(vm):
    return vm.sidecar.status()["guests"][0]


def advertisements(tap):
    packets = (Ether(frame) for frame in tap.read().received)
    return [packet for packet in packets if ICMPv6ND_RA in packet]


@pytest.mark.parametrize("shape", ["managed", "own"])
def test_an_address_that_the_placeholder_gains_is_the_guests(shape):
    with running(shape) as vm:
        vm.pod.netns.ip("addr add fd00:10:244:1::77/64 dev eth0 nodad")
        until(lambda: "fd00:10:244:1::77/64" in guest(vm)["ipv6"], "status shows it")
        assert guest(vm)["ipv6"][0] == "fd00:10:244:1::5/64"


@pytest.mark.parametrize("shape", ["managed", "own"])
def test_an_address_that_the_cni_replaced_is_told_at_the_next_request(shape):
    with running(shape) as vm:
        vm.pod.netns.ip("addr del 10.244.1.5/24 dev eth0\naddr add 10.244.1.9/24 dev eth0")
        until(lambda: guest(vm)["ipv4"] == ["10.244.1.9/24"], "status shows it")
        words = "busybox udhcpc -f -n -q -t 8 -T 1 -i eth0 -s /bin/true 2>&1"
        assert "10.244.1.9" in vm.guest.run("sh", "-c", words, check=False)


@pytest.mark.parametrize("shape", ["managed", "own"])
def test_a_smaller_mtu_of_the_pod_nic_is_advertised_at_once(shape):
    with running(shape) as vm, capture(vm.guest, "eth0") as tap:
        vm.pod.netns.ip("link set eth0-nic mtu 1300")

        def told():
            mtus = [packet[ICMPv6NDOptMTU].mtu for packet in advertisements(tap)]
            return 1300 in mtus

        until(told, "an RA with the new MTU")
        assert guest(vm)["mtu"] == 1300
        if shape == "own":
            until(
                lambda: vm.pod.netns.query("link", "show", "dev", "tap0")[0]["mtu"] == 1300,
                "the tap's MTU follows",
            )


def test_a_route_that_the_pod_nic_gains_is_advertised_at_once():
    with running("managed") as vm, capture(vm.guest, "eth0") as tap:
        gateway = "fd00:10:244:1::1"
        vm.pod.netns.ip(f"""
            route add {gateway} dev eth0-nic
            route add fd00:77::/64 via {gateway} dev eth0-nic""")

        def told():
            packets = advertisements(tap)
            return any(
                packet[ICMPv6NDOptRouteInfo].prefix == "fd00:77::"
                for packet in packets
                if ICMPv6NDOptRouteInfo in packet
            )

        until(told, "an RA with the route")


def test_a_change_that_changes_nothing_for_the_guest_restarts_nothing():
    with running("managed") as vm:
        before = {one["name"]: one["pid"] for one in vm.sidecar.status()["processes"]}
        vm.pod.netns.ip("link add other type bridge\naddr add 192.168.7.1/24 dev other")
        vm.pod.netns.ip("link del other")
        assert leased(vm.guest)
        after = {one["name"]: one["pid"] for one in vm.sidecar.status()["processes"]}
        assert after["serve"] == before["serve"]
        assert not guest(vm)["warnings"]
