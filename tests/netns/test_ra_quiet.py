"""What dsbridge itself sends towards the pod network, and when it says nothing at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from guest.ethernet import mac_bytes
from guest.network import OUR_LINK_LOCAL
from ra import arp, neighbor
from tests.bed.cable import cable
from tests.bed.capture import ARP, NA, NS, RA, capture, kind
from tests.bed.clients.lease import kernel
from tests.bed.guests import started
from tests.bed.kernel_guest import addressed
from tests.bed.launcher import collect
from tests.bed.layouts import LAYOUTS
from tests.bed.pod import REMOTE4, REMOTE6, pod
from tests.bed.sidecar import sidecar
from tests.bed.wait import until
from tests.samples import OWN_DOMAIN, vmi_json

ARRIVING = vmi_json(name="13-migration-target")
ARRIVING_MAC = "02:0a:0b:0c:0d:0e"
MOST_TRIES = 3  # of RFC 4861 section 10, where nobody answers


def asked(frame: bytes) -> str:
    """Return whom an ARP request or NS asks for."""
    if kind(frame) == ARP:
        return str(IPv4Address(frame[38:42]))
    assert kind(frame) == NS, frame.hex()
    return target(frame)


def target(frame: bytes) -> str:
    """Return whom an NS or NA is about."""
    return str(IPv6Address(frame[62:78]))


def source(frame: bytes) -> str:
    return str(IPv6Address(frame[22:38]))


def lifetime(frame: bytes) -> int:
    """Return the router lifetime of an RA."""
    return int.from_bytes(frame[60:62], "big")


@pytest.mark.parametrize(
    ("layout", "gateways"),
    [
        ("flat", {"10.244.1.1", "fd00:10:244:1::1", "fe80::858:aff:fef4:101"}),
        ("calico", {"169.254.1.1", "fe80::ecee:eeff:feee:eeee"}),
        ("kube-ovn", {"10.16.0.1", "fd00:10:16::1", "fe80::200:ff:fe2a:6b01"}),
        ("cilium", {"10.0.1.170", "fd00:10:0:1::aa", "fe80::5cc1:11ff:fe40:aa"}),
    ],
)
def test_the_pod_network_sees_the_guests_frames_and_one_resolution_of_its_gateway(
    layout: str, gateways: set[str]
) -> None:
    with (
        started(layout, "own") as vm,
        capture(vm.pod.gateway, "pod0") as outside,
        capture(vm.guest, "eth0") as inside,
    ):
        guest = addressed(vm, dad=True)
        until(lambda: guest.reaches(REMOTE4), "IPv4")
        until(lambda: guest.reaches(REMOTE6), "IPv6")
        before = outside.read().received
        ours = Counter(before) - Counter(inside.read().sent)
        assert {frame[6:12] for frame in ours} == {mac_bytes(vm.pod.layout.mac)}
        tries = Counter(asked(frame) for frame in ours.elements())
        assert set(tries) == gateways
        assert max(tries.values()) <= MOST_TRIES
        own = {str(one.ip) for one in vm.pod.layout.ipv6}
        answered = {target(f) for f in inside.received if kind(f) == NA}
        assert not own & answered, "its duplicate address detection is its own affair"


def test_the_vm_keeps_its_router_when_the_sidecar_ends() -> None:
    with started("flat", "own") as vm, capture(vm.guest, "eth0") as tap:
        guest = addressed(vm)
        vm.hook.shutdown()
        assert vm.sidecar.exit_status() == 0
        adverts = [frame for frame in tap.read().received if kind(frame) == RA]
        assert adverts
        assert 0 not in map(lifetime, adverts)
        assert kernel(guest, "eth0").has_default6


@pytest.mark.parametrize(
    ("layout", "gateway4", "gateway6", "router"),
    [
        ("flat", "10.244.1.1", "fd00:10:244:1::1", "fe80::858:aff:fef4:101"),
        ("cilium", "10.0.1.170", "fd00:10:0:1::aa", str(OUR_LINK_LOCAL)),
    ],
)
def test_an_arriving_guest_must_speak_first_and_then_learns_where_its_gateways_are(
    layout: str, gateway4: str, gateway6: str, router: str
) -> None:
    # The guest keeps its MAC, which a real Cilium of the other node would not know.
    known = replace(LAYOUTS[layout], only_pod_mac=False)
    with pod(known) as made, sidecar(made) as running, collect(running.hooks_dir) as hook:
        hook.on_define_domain(OWN_DOMAIN, ARRIVING)
        assert running.status()["guests"][0]["mac"] == ARRIVING_MAC
        mtu, mac = made.layout.mtu, made.layout.gateway_mac
        with (
            cable(made.netns, mac=ARRIVING_MAC, mtu=mtu) as guest,
            capture(made.gateway, "pod0") as outside,
        ):
            guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)  # it has nothing to say by itself
            guest.ip("link set eth0 up")
            guest.ip(f"addr add {made.layout.ipv4[0].ip}/24 dev eth0")
            with capture(guest, "eth0") as tap:
                outside.send(arp.gratuitous(IPv4Address(gateway4), mac))
                outside.send(neighbor.advertise(IPv6Address(gateway6), mac))
                tap.wait(lambda frame: kind(frame) == NA, "what the gateway announces")
                assert running.status()["guests"][0]["counters"] == {}
                assert outside.read().received == []
                told = [kind(frame) for frame in tap.read().received]
                assert [one for one in told if one in (ARP, NA, RA)] == [ARP, NA]

                tap.received.clear()
                guest.reaches(gateway4)
                tap.wait(lambda f: kind(f) == ARP and f[28:32] == f[38:42], "gratuitous ARP")
                tap.wait(lambda f: kind(f) == NA and target(f) == router, "NA of the router")
                tap.wait(lambda f: kind(f) == RA and source(f) == router, "RA of the router")
                assert {f[6:12] for f in outside.read().received} == {mac_bytes(ARRIVING_MAC)}
