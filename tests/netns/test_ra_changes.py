"""What is announced changes under a guest that is there already."""

from __future__ import annotations

from ipaddress import IPv6Address

from guest.network import OUR_LINK_LOCAL
from tests.bed.capture import RA, capture, kind
from tests.bed.guests import started
from tests.bed.kernel_guest import addressed
from tests.bed.wait import until
from tests.samples import vmi_json

FIRST, SECOND = IPv6Address("fd00:10:96::53"), IPv6Address("fd00:10:96::54")
NOBODY = "fd00:10:244:1::99"


def test_a_guest_is_told_of_a_change_at_once_also_when_serve_is_at_rest() -> None:
    with started("flat", "managed") as vm, capture(vm.guest, "eth0") as tap:
        addressed(vm)
        vm.hook.on_define_domain(vm.domain, other(dns=[str(FIRST)]))
        tap.wait(lambda f: kind(f) == RA and FIRST.packed in f, "an RA with the new resolver")

        until(lambda: at_rest(vm), "rest")
        vm.hook.on_define_domain(vm.domain, other(dns=[str(SECOND)], gateways=[NOBODY]))
        told = tap.wait(lambda f: kind(f) == RA and SECOND.packed in f, "an RA at rest")
        assert told[22:38] == OUR_LINK_LOCAL.packed, "nobody answers for the new gateway"


def test_a_change_before_the_guest_is_there_is_told_to_nobody() -> None:
    with started("flat", "managed") as vm, capture(vm.pod.gateway, "pod0") as outside:
        vm.guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)
        vm.guest.ip("link set eth0 up")
        with capture(vm.guest, "eth0") as tap:
            vm.hook.on_define_domain(vm.domain, other(dns=[str(FIRST)]))
            assert vm.sidecar.status()["guests"][0]["counters"] == {}
            assert RA not in map(kind, tap.read().received)
            assert vm.pod.layout.mac not in {f[6:12].hex(":") for f in outside.read().received}


def other(**keys: list[str]) -> str:
    return vmi_json({"dsbridge.io/default": keys})


def at_rest(vm) -> bool:
    processes = vm.sidecar.status()["processes"]
    return any(process.get("resting") for process in processes)
