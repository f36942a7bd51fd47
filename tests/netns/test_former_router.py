"""A guest that came from another node asks for that node's router: it is ended at its tap."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import Ether
from scapy.sendrecv import sendp

from tests.bed.capture import capture
from tests.bed.guests import started_in
from tests.bed.pod import REMOTE6, pod
from tests.bed.wait import until

FORMER, FORMER_MAC = "fe80::aa:1ff:fe00:9", "02:aa:01:00:00:09"


def routers(guest):
    rows = guest.query("-6", "route", "show", "default")
    return {hop.get("gateway") for row in rows for hop in row.get("nexthops", (row,))}


def told_by_its_former_node(vm):
    """Give the guest's kernel a router, as an RA on the former node has done."""
    vm.guest.sysctl(ipv6__conf__eth0__accept_ra=2, ipv6__conf__eth0__accept_dad=0)
    vm.guest.ip(f"link set eth0 up\naddr add {vm.pod.layout.ipv6[0]} dev eth0 nodad")
    frame = (
        Ether(src=FORMER_MAC, dst="33:33:00:00:00:01")
        / IPv6(src=FORMER, dst="ff02::1", hlim=255)
        / ICMPv6ND_RA(routerlifetime=65535)
        / ICMPv6NDOptSrcLLAddr(lladdr=FORMER_MAC)
    )
    # At its tap, as the responder of the former node would have sent it.
    vm.pod.netns.call(lambda: sendp(frame, iface="tap0", verbose=False))
    until(lambda: FORMER in routers(vm.guest), "the former router")


@pytest.mark.parametrize("arriving", [True, False])
def test_the_router_of_the_former_node_is_ended_once_the_guest_asks_for_it(arriving):
    with pod("flat") as made, started_in(made, arriving=arriving) as vm:
        told_by_its_former_node(vm)
        here = made.layout.router
        until(lambda: vm.guest.reaches(made.layout.ipv6[0].network[1]) or True, "its first frame")
        if not arriving:
            # A guest that never migrated: dsbridge ends nobody's router.
            vm.guest.run("ping", "-6", "-c", "2", "-W", "1", f"{FORMER}%eth0", check=False)
            assert FORMER in routers(vm.guest)
            return
        until(lambda: here in routers(vm.guest), "the router of this node")
        vm.guest.ip("neigh flush dev eth0")  # as the kernel does when the carrier is lost
        vm.guest.run("ping", "-6", "-c", "1", "-W", "1", f"{FORMER}%eth0", check=False)
        until(lambda: routers(vm.guest) == {here}, "the former router has ended", 5)
        assert all(vm.guest.reaches(REMOTE6) for _ in range(6))
        log = vm.sidecar.log
        until(lambda: f"router {FORMER} withdrawn" in vm.sidecar.log, f"a word of it: {log}")


def test_a_router_that_somebody_here_answers_for_stays():
    with pod("flat") as made, started_in(made, arriving=True) as vm:
        made.gateway.ip(f"addr add {FORMER}/64 dev cni0 nodad")
        told_by_its_former_node(vm)
        vm.guest.ip("neigh flush dev eth0")
        with capture(vm.guest, "eth0") as tap:
            assert vm.guest.run("ping", "-6", "-c", "3", "-W", "1", f"{FORMER}%eth0", check=False)
            frames = [Ether(one) for one in tap.read().received]
        ended = [one for one in frames if ICMPv6ND_RA in one and one[IPv6].src == FORMER]
        assert not ended
        assert IPv6Address(FORMER).compressed in routers(vm.guest)
