"""A guest that arrives by migration, and stays."""

import os
import signal
from contextlib import contextmanager
from ipaddress import IPv4Address

from tests.bed.capture import ARP, capture, kind
from tests.bed.guests import started_in
from tests.bed.packet_sockets import listening, listening_bridge
from tests.bed.pod import pod
from tests.bed.udhcpc import leased
from tests.bed.wait import until


@contextmanager
def arriving():
    with pod("flat") as made, started_in(made, arriving=True) as vm:
        vm.guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)  # it has nothing to say by itself
        vm.guest.ip(f"link set eth0 up\naddr add {made.layout.ipv4[0]} dev eth0")
        yield vm


def gateway(vm) -> IPv4Address:
    return vm.pod.layout.ipv4[0].network[1]


def serve(vm):
    return next(one for one in vm.sidecar.status()["processes"] if one["name"] == "serve")


def test_its_arrival_is_noticed_by_a_successor_of_a_serve_that_was_killed():
    with arriving() as vm, capture(vm.guest, "eth0") as tap:
        former = serve(vm)["pid"]
        os.kill(former, signal.SIGKILL)
        until(lambda: serve(vm)["pid"] not in (former, None), "a successor")
        assert vm.guest.reaches(gateway(vm))
        tap.wait(lambda f: kind(f) == ARP and f[28:32] == f[38:42], "gratuitous ARP")


def test_once_it_has_rested_its_own_traffic_is_not_read():
    with arriving() as vm:
        assert vm.guest.reaches(gateway(vm))
        until(lambda: serve(vm)["resting"], "rest")
        assert leased(vm.guest)
        until(lambda: vm.sidecar.status()["guests"][0]["counters"].get("ACK"), "ACK")

        def rests_while_it_talks():
            return vm.guest.reaches(gateway(vm)) and serve(vm)["resting"]

        until(rests_while_it_talks, "rest")
        space = vm.pod.netns
        assert listening(space) == {
            listening_bridge(space, "tap0"),
            listening_bridge(space, "eth0-nic"),
        }
        assert "malformed" not in vm.sidecar.status()["guests"][0]["counters"]
