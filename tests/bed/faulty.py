"""A served guest whose sidecar meets faults, and whether all is as it should be."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from tests.bed.guests import Started, started
from tests.bed.one_fault import OneFault, one_fault
from tests.bed.pod_state import links
from tests.bed.udhcpc import leased
from tests.bed.wait import until

_names = itertools.count()


def rules(vm: Started) -> str:
    """Return nf_tables' rules without what they have counted."""
    listed = vm.pod.netns.run("nft", "list", "ruleset")
    return re.sub(r"counter packets \d+ bytes \d+", "counter", listed)


def is_whole(vm: Started, wanted: tuple[str, set[str]]) -> bool:
    """Say whether rules and links are these, and status finds nothing wrong."""
    if (rules(vm), links(vm.pod.netns)) != wanted:
        return False
    status = vm.sidecar.status()
    return status["guard"] == "on" and not status["guests"][0]["warnings"]


def define(vm: Started, vmi: str) -> list[str]:
    """Call as KubeVirt does, again and again; return why each call but the last was refused."""
    said: list[str] = []
    while len(said) < 9:
        try:
            vm.hook.on_define_domain(vm.domain, vmi)
        except grpc.RpcError as error:
            said.append(str(error.details()))
        else:
            return said
    raise AssertionError(said)


def is_served(vm: Started) -> bool:
    return leased(vm.guest, hostname=f"h{next(_names)}", tries=2)


@contextmanager
def running(shape: str, room: Path) -> Iterator[tuple[Started, OneFault]]:
    fault = one_fault(room)
    with started("flat", shape, **fault.environ) as vm:
        vm.guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)
        vm.guest.ip("link set eth0 up")
        until(lambda: is_served(vm), "the guest is served", 60)
        yield vm, fault


def flush(vm: Started) -> None:
    vm.pod.netns.run("nft", "flush", "ruleset")
    listening = [one for one in links(vm.pod.netns) if one.startswith("dsb-listen")]
    vm.pod.netns.ip("\n".join(f"link del {one}" for one in listening))
