"""What is interrupted: a start by SIGTERM at each stage, a hook call by its caller."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path

import grpc
import pytest

from proto import v1alpha3_pb2, v1alpha3_pb2_grpc
from tests.bed.cable import cable
from tests.bed.launcher import collect
from tests.bed.one_fault import one_fault
from tests.bed.pod import pod
from tests.bed.pod_state import as_before, links, state
from tests.bed.sidecar import explained, sidecar
from tests.bed.udhcpc import leased
from tests.bed.wait import until
from tests.samples import OWN_DOMAIN, vmi_json

pytestmark = pytest.mark.timeout(3600)
EVERY = pytest.mark.matrix
WIRED = {"eth0", "eth0-nic", "k6t-eth0", "tap0"}
WAITS = "delay_enter=800000"
"""Microseconds. Longer, and the sidecar would take the program for stopped."""


@pytest.mark.parametrize(
    ("call", "step"),
    [
        ("clone3", 1),
        ("rename", 1),
        *(
            pytest.param(call, step, marks=EVERY)
            for call, step in (
                *(("openat", 15), ("epoll_wait", 1), ("socket", 1), ("bind", 1), ("listen", 1)),
                *(("rt_sigaction", 5), ("epoll_ctl", 1), ("sendmsg", 1), ("recvmsg", 1)),
            )
        ),
    ],
)
def test_sigterm_at_any_stage_of_the_start_leaves_the_pod_as_it_was(
    tmp_path: Path, call: str, step: int
) -> None:
    """Nobody is served yet. It ends by itself as soon as it knows what to do at SIGTERM."""
    with pod("flat", dad=False) as made:
        before = state(made.netns)
        for number in itertools.count(1, step):
            log = tmp_path / f"{number}"
            inject = f"inject={call}:signal=SIGTERM:when={number}"
            prefix = ("strace", "-D", "-qq", "-o", str(log), "-e", f"trace={call}", "-e", inject)
            with sidecar(made, prefix=prefix) as running, explained(running):
                until(
                    lambda: running.process.poll() is not None or "listens on" in running.log,
                    "the sidecar has started, or ended",
                    60,
                )
                if "--- SIGTERM" not in log.read_text():
                    return
                assert running.exit_status() in (0, -signal.SIGTERM)
                until(lambda: not made.netns.pids(), "all its programs have ended")
                assert not list(running.hooks_dir.glob("*.sock"))
                assert "Traceback" not in running.log
                assert as_before(made.netns, before)


@pytest.mark.parametrize(
    "number", [26, *(pytest.param(one, marks=EVERY) for one in range(1, 52, 5))]
)
def test_sigterm_while_plumb_wires_leaves_the_pod_wired_or_as_it_was(
    tmp_path: Path, number: int
) -> None:
    fault = one_fault(tmp_path / "fault")
    with (
        pod("flat", dad=False) as made,
        sidecar(made, **fault.environ) as running,
        explained(running),
        collect(running.hooks_dir) as hook,
    ):
        before = state(made.netns)
        fault.wait_for("plumb-wire", "sendto", WAITS, number)
        with hook.dial() as channel:
            call = _asked(channel, 60)
            until(lambda: fault.was_taken("plumb-wire"), "plumb runs")
            running.process.send_signal(signal.SIGTERM)
            until(call.done, "the call has ended")
        # No QEMU has opened a tap: there is nothing to wait for.
        assert running.exit_status() == 0
        until(lambda: not made.netns.pids(), "all its programs have ended")
        found = {one for one in links(made.netns) if not one.startswith("dsb-listen")}
        assert found == WIRED or as_before(made.netns, before)


CANCELLED = [("plumb-wire", "sendto", 1), ("plumb-wire", "sendto", 40), ("serve", "recvmsg", 1)]
MORE_CANCELLED = [
    *(("plumb-wire", "sendto", number) for number in range(4, 52, 6)),
    *(("plumb-wire", "recvfrom", number) for number in range(2, 70, 8)),
    *(("serve", "sendmsg", number) for number in (1, 2, 3)),
    *(("serve", "setsockopt", number) for number in range(1, 8)),
]


@pytest.mark.parametrize("how", ["cancelled", pytest.param("deadline exceeded", marks=EVERY)])
@pytest.mark.parametrize(
    ("program", "call", "number"),
    [*CANCELLED, *(pytest.param(*one, marks=EVERY) for one in MORE_CANCELLED)],
)
def test_a_call_that_its_caller_gave_up_leaves_nothing_half_done(
    tmp_path: Path, program: str, call: str, number: int, how: str
) -> None:
    """While plumb or serve waits in the midst of its work; then KubeVirt calls again."""
    fault = one_fault(tmp_path / "fault")
    with (
        pod("flat", dad=False) as made,
        sidecar(made, **fault.environ) as running,
        explained(running),
    ):
        fault.wait_for(program, call, WAITS, number)
        with collect(running.hooks_dir) as hook:
            with hook.dial() as channel:
                asked = _asked(channel, 0.3 if how == "deadline exceeded" else 60)
                until(lambda: fault.was_taken(program) or asked.done(), f"{program} runs")
                if how == "cancelled":
                    asked.cancel()
                until(asked.done, "the call has ended")
            hook.define(OWN_DOMAIN, vmi_json())
            status = running.status()
            assert status["guard"] == "on"
            assert not status["guests"][0]["warnings"]
            assert {one for one in links(made.netns) if not one.startswith("dsb-listen")} == WIRED
            with cable(made.netns, mac=made.layout.mac, mtu=made.layout.mtu) as guest:
                guest.ip("link set eth0 up")
                assert leased(guest, tries=9)
            assert "Traceback" not in running.log


def _asked(channel: grpc.Channel, seconds: float) -> grpc.Future:
    """Call OnDefineDomain, and return what can be cancelled."""
    request = v1alpha3_pb2.OnDefineDomainParams(
        domainXML=OWN_DOMAIN.encode(), vmi=vmi_json().encode()
    )
    return v1alpha3_pb2_grpc.CallbacksStub(channel).OnDefineDomain.future(request, timeout=seconds)
