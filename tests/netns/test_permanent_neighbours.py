"""Gateways that the pod knows by a permanent neighbour entry, for which nobody else answers."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from guest.ethernet import ETH_ARP
from tests.bed.capture import ARP, NA, NS, Capture, capture, kind
from tests.bed.clients import client
from tests.bed.echo import echoes
from tests.bed.guests import Started, started
from tests.bed.kernel_guest import addressed, default_routers, hurry, lladdrs
from tests.bed.pod import REMOTE4, REMOTE6
from tests.bed.wait import until

LAYOUTS = ("aws-vpc-cni", "azure")


def serve(vm: Started) -> dict[str, object]:
    found = {process["name"]: process for process in vm.sidecar.status()["processes"]}
    return found["serve"]


def answers(tap: Capture, what: str | int) -> int:
    return [kind(frame) for frame in tap.read().received].count(what)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_guest_verifies_such_gateways_again_and_again_and_loses_nothing(
    layout: str, tmp_path: Path
) -> None:
    with (
        started(layout, "managed") as vm,
        capture(vm.guest, "eth0") as tap,
        capture(vm.pod.gateway, "pod0") as outside,
    ):
        guest, cni = addressed(vm), vm.pod.layout
        hurry(guest)
        guest.sysctl(
            ipv4__neigh__eth0__base_reachable_time_ms=300,
            ipv4__neigh__eth0__delay_first_probe_time=0,
        )
        with echoes(guest, REMOTE4, tmp_path) as ipv4, echoes(guest, REMOTE6, tmp_path) as ipv6:
            until(lambda: min(answers(tap, ARP), answers(tap, NA)) >= 20, "20 answers", 40)
            ipv4.goes_on()
            ipv6.goes_on()
        assert (ipv4.lost(), ipv6.lost()) == (0, 0)
        assert default_routers(guest) == [cni.router]
        known = lladdrs(guest)
        assert (known["169.254.1.1"], known[cni.router]) == (cni.gateway_mac, cni.gateway_mac)
        asked = [frame for frame in outside.read().received if kind(frame) in (ARP, NS)]
        targets = {frame[38:42] if kind(frame) == ARP else frame[62:78] for frame in asked}
        gateways = {ip_address(cni.gateway4).packed, ip_address(cni.router).packed}
        assert not targets & gateways, "a question for a gateway left the pod"


def test_at_rest_the_sidecar_answers_for_them_and_starts_nobody(tmp_path: Path) -> None:
    with started("aws-vpc-cni", "managed") as vm, client("networkd", vm.guest, tmp_path) as guest:
        guest.lease(30)
        gateway = "169.254.1.1"
        for _ in range(2):
            vm.guest.ip(f"neigh flush {gateway} dev eth0")
            until(lambda: vm.guest.reaches(REMOTE4), "IPv4 before the rest")
        until(lambda: serve(vm)["resting"], "rest", 30)
        with capture(vm.guest, "eth0") as tap:
            for number in range(1, 4):
                vm.guest.ip(f"neigh flush {gateway} dev eth0")
                assert vm.guest.reaches(REMOTE4)
                is_reply = [
                    f for f in tap.read().received if f[12:14] == ETH_ARP.to_bytes(2, "big")
                ]
                assert len(is_reply) >= number
        assert serve(vm)["pid"] is None, "a question for the gateway's MAC started a process"
