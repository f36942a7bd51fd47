"""Takeover: `bridge: {}` and hookSidecars; dnsmasq on the bridge stands in for KubeVirt."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv6Interface

import pytest

from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.dnsmasq import Dnsmasq, dnsmasq
from tests.bed.handler import core_bridge
from tests.bed.launcher import Hook, collect, phase2
from tests.bed.netns import Netns
from tests.bed.pod import NAMESERVERS, REMOTE4, REMOTE6, Pod, pod
from tests.bed.sidecar import Sidecar, sidecar
from tests.bed.udhcpc import asked_once
from tests.bed.wait import until
from tests.samples import MANAGED_DOMAIN, vmi_json

VMI = "17-hooksidecar-annotation-core-bridge"
BUILT_IN = "169.254.75.10"


@dataclass(frozen=True)
class Taken:
    pod: Pod
    sidecar: Sidecar
    hook: Hook
    built_in: Dnsmasq
    guest: Netns

    def define(self, **settings):
        """Let virt-launcher define the domain, with an override for the NIC."""
        vmi = vmi_json({"dsbridge.io/default": settings}, VMI)
        layout = self.pod.layout
        domain = phase2(MANAGED_DOMAIN, mac=layout.mac, mtu=layout.mtu)
        return self.hook.define(domain, vmi)

    def asked(self):
        """Return how many requests KubeVirt's server has heard."""
        return self.built_in.log.count("DHCPDISCOVER(k6t-eth0)")

    def leases(self):
        """Ask once, as a guest that boots; return what udhcpc says."""
        self.guest.ip("link set eth0 up")
        return asked_once(self.guest, tries=2)


@pytest.fixture
def vm(tmp_path):
    """A pod wired for the core binding, its server running, the guest about to boot."""
    with ExitStack() as stack:
        made = stack.enter_context(pod("flat"))
        side = stack.enter_context(sidecar(made, NETWORK_BINDING_PLUGIN_NAME=""))
        hook = stack.enter_context(collect(side.hooks_dir))
        core_bridge(made.netns)
        guest = stack.enter_context(cable(made.netns, mac=made.layout.mac, mtu=made.layout.mtu))
        address = made.layout.ipv4[0]
        built_in = stack.enter_context(
            dnsmasq(
                *(made.netns, "k6t-eth0", tmp_path / "built-in"),
                f"--shared-network=k6t-eth0,{address.ip}",
                f"--dhcp-range={address.ip},{address.ip},{address.netmask},infinite",
                f"--dhcp-host={made.layout.mac},{address.ip}",
            )
        )
        yield Taken(made, side, hook, built_in, guest)


def test_kubevirts_server_answers_before_takeover_and_is_mute_after(vm):
    until(lambda: f"obtained from {BUILT_IN}" in vm.leases(), "a lease of KubeVirt's server")
    vm.define()
    before = vm.asked()
    said = vm.leases()
    assert "lease of 10.244.1.5 obtained from 10.244.1.1" in said
    assert vm.asked() == before > 0
    assert vm.sidecar.status()["guests"][0]["shape"] == "takeover"
    assert vm.sidecar.status()["guard"] == "on"


@pytest.mark.parametrize("provider", ["kube-ovn", "auto", "off"])
def test_it_is_mute_whoever_serves_the_guest(vm, provider):
    until(lambda: f"obtained from {BUILT_IN}" in vm.leases(), "a lease of KubeVirt's server")
    vm.define(provider=provider)
    before = vm.asked()
    assert f"obtained from {BUILT_IN}" not in vm.leases()
    assert vm.asked() == before


def test_the_guest_is_dual_stack_and_the_pods_network_is_as_before(vm, tmp_path):
    domain = vm.define()
    assert 'dev="tap0"' in domain
    with client("networkd", vm.guest, tmp_path) as guest:
        lease = guest.lease(20, dns=NAMESERVERS)
        assert lease.ipv4 == vm.pod.layout.ipv4
        assert lease.ipv6 == tuple(IPv6Interface(one.ip) for one in vm.pod.layout.ipv6)
        assert (str(lease.default4), str(lease.default6)) == ("10.244.1.1", vm.pod.layout.router)
        until(lambda: vm.guest.reaches(REMOTE4), "a host beyond the gateway, IPv4")
        until(lambda: vm.guest.reaches(REMOTE6), "a host beyond the gateway, IPv6")
    assert vm.asked() == 0
