"""plumb is refused, or killed at, each of its netlink requests in turn: strace does it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from dataclasses import replace

import pytest

from binding.ipc import codec
from binding.ipc.messages import Undone
from binding.ipc.wiring import Wiring
from binding.packet import guard
from tests.bed.guarded import GUEST
from tests.bed.handler import managed_tap
from tests.bed.netns import Netns
from tests.bed.plumb import WITHOUT_TUN, plumb, wire, wiring
from tests.bed.pod import Pod, pod
from tests.bed.pod_state import as_before, links, state
from tests.netns.test_snapshot import read

WIRED = {"eth0", "eth0-nic", "k6t-eth0", "tap0"}
ALL = pytest.param(range(1, 1000), id="each", marks=pytest.mark.matrix)
"""As many as plumb makes: none is refused then, and it succeeds."""
OF_THE_CNI = """
    route add 10.8.0.0/16 via 10.244.1.77 dev eth0 onlink metric 77
    route add 10.7.0.0/16 dev eth0 table 100
    route add fd07::/64 via fe80::7 dev eth0 metric 7
    neigh replace 10.244.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
    neigh replace 10.244.1.3 lladdr 02:00:00:00:00:03 dev eth0 nud noarp"""
"""What a snapshot's addresses and routes alone do not tell."""
TABLE = codec.encode(guard.GuardTable("dsbridge", guard.filters((GUEST,))))


def refused(request: int) -> tuple[str, ...]:
    """Return a command under which the kernel has no room for one netlink request."""
    return _injected(f"error=ENOBUFS:when={request}")


def killed(request: int) -> tuple[str, ...]:
    """Return a command under which plumb gets SIGKILL instead of making one netlink request."""
    return _injected(f"signal=KILL:when={request}")


def _injected(what: str) -> tuple[str, ...]:
    inject = f"inject=sendto:{what}"
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendto", "-e", inject)


def asked(made: Pod) -> Wiring:
    """Return how eth0 is to be wired, with what the sidecar knows of it by its snapshot."""
    taken = read(made.netns)
    eth0 = taken.link("eth0")
    assert eth0 is not None
    return replace(wiring(made.layout), routes=eth0.routes, records=taken.records)


def kept_by_placeholder(space: Netns) -> list[str]:
    shown = space.query("addr", "show", "dev", "eth0")[0]
    return [shown["address"], *(one["local"] for one in shown["addr_info"])]


@pytest.mark.parametrize("requests", [(6, 20, 31), ALL])
def test_wiring_that_one_request_fails_leaves_the_pod_as_the_cni_made_it(
    requests: Iterable[int],
) -> None:
    with pod("flat", dad=False) as made:
        inside, before = made.netns, state(made.netns)
        line = codec.encode((asked(made),))
        for request in requests:
            done = plumb(inside, "wire", stdin=line, prefix=refused(request))
            if done.returncode == 0:
                assert links(inside) == WIRED
                break
            failure = codec.decode(Undone, done.stdout)
            assert "No buffer space available" in failure.error, (request, failure)
            assert as_before(inside, before), request


@pytest.mark.parametrize("requests", [(20, 31), ALL])
def test_wiring_that_was_killed_is_undone_or_done_by_the_next_try(requests: Iterable[int]) -> None:
    for request in requests:
        with pod("flat", dad=False) as made:
            inside = made.netns
            inside.ip(OF_THE_CNI)
            before, one = state(inside), asked(made)
            done = plumb(inside, "wire", stdin=codec.encode((one,)), prefix=killed(request))
            if done.returncode:
                assert wire(inside, one, prefix=WITHOUT_TUN)["step"] == "create tap tap0"
                assert as_before(inside, before), request
                assert "10.244.1.3" in str(inside.query("neigh", "show", "nud", "noarp"))
            wire(inside, one)
            assert wire(inside, one) == {"wired": [], "adopted": ["eth0"]}, request
            ips = [str(each.ip) for each in (*made.layout.ipv4, *made.layout.ipv6)]
            assert kept_by_placeholder(inside) == [made.layout.mac, *ips], request
            assert links(inside) == WIRED
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done


@pytest.mark.parametrize("requests", [(2, 6), ALL])
def test_a_guard_that_was_interrupted_is_whole_at_the_next_try(requests: Iterable[int]) -> None:
    """Of managed wiring, which is virt-handler's, the guard is all that plumb changes."""
    for request in requests:
        for prefix in (refused(request), killed(request)):
            with pod("flat", dad=False) as made:
                inside = made.netns
                managed_tap(inside)
                before = links(inside)
                done = plumb(inside, "guard", stdin=TABLE, prefix=prefix)
                if done.returncode > 0:
                    assert inside.run("nft", "list", "ruleset") == ""
                    assert links(inside) == before, request
                assert plumb(inside, "guard", stdin=TABLE).returncode == 0
                look = plumb(inside, "look", stdin=TABLE)
                assert json.loads(look.stdout)["wrong"] == [], (request, look)
        if done.returncode == 0:  # none was left to be killed at
            break
