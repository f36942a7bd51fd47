"""A guest's connections live on while the gateway's MAC changes, as in a fail-over."""

from __future__ import annotations

from pathlib import Path

import pytest

from guest.ethernet import mac_bytes
from guest.network import OUR_LINK_LOCAL
from tests.bed.capture import capture
from tests.bed.echo import echoes
from tests.bed.guests import started
from tests.bed.kernel_guest import addressed, default_routers, hurry, lladdrs
from tests.bed.pod import REMOTE4, REMOTE6, Pod
from tests.bed.wait import until

AFTER = "0a:58:00:00:fa:11"


def fail_over(pod: Pod, *, announced: bool) -> None:
    """Give the gateway another MAC; the kernel announces it as keepalived and OVN do."""
    layout, link = pod.layout, "cni0" if pod.layout.name == "flat" else "pod0"
    if announced:
        pod.gateway.sysctl(
            **{f"ipv4__conf__{link}__arp_notify": 1, f"ipv6__conf__{link}__ndisc_notify": 1}
        )
    if layout.name == "calico":  # proxy ARP alone has no address that it could announce
        pod.gateway.ip(f"addr add 169.254.1.1/32 dev {link}")
    if layout.name == "kube-ovn":  # the router's link-local address follows its MAC
        pod.gateway.ip(f"addr del {layout.router}/64 dev {link}")
    pod.gateway.ip(f"link set {link} address {AFTER}")
    if layout.name == "kube-ovn":
        pod.gateway.ip(f"addr add fe80::858:ff:fe00:fa11/64 dev {link} nodad")
    if layout.name == "cilium":  # whose datapath never asks for its pods
        pod.gateway.ip(f"""
            neigh replace {layout.ipv4[0].ip} lladdr {layout.mac} dev {link}
            neigh replace {layout.ipv6[0].ip} lladdr {layout.mac} dev {link}""")


@pytest.mark.parametrize(
    ("layout", "router"),
    [
        pytest.param("flat", "fe80::858:aff:fef4:101", id="EUI-64 address that stays"),
        pytest.param("kube-ovn", "fe80::858:ff:fe00:fa11", id="EUI-64 address of the new MAC"),
        pytest.param("calico", "fe80::ecee:eeff:feee:eeee", id="the pod's link-local gateway"),
        pytest.param("cilium", str(OUR_LINK_LOCAL), id="virtual router"),
    ],
)
def test_an_announced_fail_over_costs_less_than_a_second(
    layout: str, router: str, tmp_path: Path
) -> None:
    with started(layout, "managed") as vm, capture(vm.pod.gateway, "pod0") as outside:
        guest = addressed(vm)
        with echoes(guest, REMOTE4, tmp_path) as ipv4, echoes(guest, REMOTE6, tmp_path) as ipv6:
            fail_over(vm.pod, announced=True)
            for flow in (ipv4, ipv6):
                flow.goes_on(20)
                assert flow.lost() <= 1, flow.address
            until(lambda: lladdrs(guest).get(router) == AFTER, f"{router} at {AFTER}")
            until(lambda: default_routers(guest) == [router], f"{router} the only default router")
            ipv6.goes_on()
            assert ipv6.lost() <= 1
        ours = [frame for frame in outside.read().received if frame[6:12] == mac_bytes(AFTER)]
        assert ours == [], "what we tell the guest in the gateway's name stays at its tap"


def test_the_guests_own_probes_find_a_virtual_router_that_moved_without_a_word(
    tmp_path: Path,
) -> None:
    with started("cilium", "managed") as vm:
        guest = addressed(vm)
        hurry(guest)
        with echoes(guest, REMOTE6, tmp_path) as flow:
            fail_over(vm.pod, announced=False)
            flow.goes_on(20)
            assert flow.lost() <= 2, "half a second to the next probe, one that we may wait"
        until(lambda: lladdrs(guest).get(str(OUR_LINK_LOCAL)) == AFTER, "the guest knows")
