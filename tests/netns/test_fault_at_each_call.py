"""One call of one program fails, each in turn, and the next run is as ever (strace).

The sidecar tries again, nothing stays half-done, and the guest ends served behind a whole guard.
`make test` tries a few calls of each kind, `make test-all` every one.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from binding.ipc import codec
from binding.packet import guard
from tests.bed.faulty import define, flush, is_served, is_whole, rules, running
from tests.bed.guarded import GUEST
from tests.bed.guests import Started
from tests.bed.one_fault import until_no_call
from tests.bed.plumb import PRIMARY, plumb
from tests.bed.pod import pod
from tests.bed.pod_state import as_before, links, state
from tests.bed.wait import until
from tests.samples import vmi_json

pytestmark = pytest.mark.timeout(7200)
OFF = {"dsbridge.io/default": {"provider": "off"}}
EVERY = pytest.mark.matrix


def is_down(vm: Started, bare: set[str]) -> bool:
    """Say whether no rule is left, and status wants none."""
    there = {one for one in links(vm.pod.netns) if not one.startswith("dsb-listen")}
    return not rules(vm) and there == bare and vm.sidecar.status()["guard"] == "not needed"


def break_links(vm: Started) -> None:
    vm.pod.netns.ip("""
        link del k6t-eth0
        link del eth0
        link set eth0-nic down
        link set eth0-nic name other""")


@dataclass(frozen=True, slots=True)
class Broken:
    """What somebody does to a pod of this shape, and which program mends it."""

    shape: str
    change: Callable[[Started], None]
    program: str


GUARD, LINKS = Broken("managed", flush, "plumb-guard"), Broken("own", break_links, "plumb-mend")


def test_a_listening_bridge_that_goes_while_the_guard_is_set_is_made_again(tmp_path: Path) -> None:
    """Between the rules that copy to it and the word of plumb that they are set."""
    with running("managed", tmp_path / "fault") as (vm, fault):
        whole = rules(vm), links(vm.pod.netns)
        fault.wait_for("plumb-guard", "sendmsg", "delay_enter=900000", 1)
        flush(vm)
        until(lambda: "dup to" in rules(vm), "the rules are set")
        (bridge,) = (one for one in links(vm.pod.netns) if one.startswith("dsb-listen2"))
        vm.pod.netns.ip(f"link del {bridge}")
        until(lambda: is_whole(vm, whole), "whole")


@pytest.mark.parametrize(
    ("broken", "call", "error", "step"),
    [
        (GUARD, "sendto", "ENOBUFS", 4),
        (LINKS, "recvfrom", "ENOMEM", 30),
        *(
            pytest.param(broken, call, error, 1, marks=EVERY)
            for broken in (GUARD, LINKS)
            for call, error in (
                ("sendto", "ENOBUFS"),
                ("recvfrom", "ENOMEM"),
                ("recvmsg", "ENOBUFS"),
                ("sendmsg", "ENOBUFS"),
                ("socket", "EMFILE"),
                ("bind", "ENOMEM"),
                ("setsockopt", "ENOMEM"),
            )
        ),
    ],
)
def test_what_others_broke_is_mended_whatever_call_of_plumb_fails(
    tmp_path: Path, broken: Broken, call: str, error: str, step: int
) -> None:
    program = broken.program
    with running(broken.shape, tmp_path / "fault") as (vm, fault):
        whole = rules(vm), links(vm.pod.netns)
        for number in until_no_call(fault, program, step):
            fault.wait_for(program, call, f"error={error}", number)
            # A run that still mends what was broken before mends this, too, and takes no fault.
            while not fault.was_taken(program):
                broken.change(vm)
                until(lambda: is_whole(vm, whole), f"whole after {call} {number}", 60)
        until(lambda: is_served(vm), "the guest is served", 60)
        assert "Traceback" not in vm.sidecar.log
        assert vm.sidecar.process.poll() is None


@pytest.mark.parametrize(
    ("call", "error", "step"),
    [
        ("recvfrom", "ENOBUFS", 20),
        *(
            pytest.param(call, error, 1, marks=EVERY)
            for call, error in (
                ("sendto", "ENOBUFS"),
                ("recvfrom", "ENOMEM"),
                ("recvmsg", "ENOBUFS"),
                ("socket", "ENFILE"),
            )
        ),
    ],
)
def test_a_guard_is_taken_down_and_set_up_whatever_call_of_plumb_fails(
    tmp_path: Path, call: str, error: str, step: int
) -> None:
    with running("managed", tmp_path / "fault") as (vm, fault):
        up = rules(vm), links(vm.pod.netns)
        bare = {one for one in up[1] if not one.startswith("dsb-listen")}
        for number in until_no_call(fault, "plumb-guard", step):
            fault.wait_for("plumb-guard", call, f"error={error}", number)
            define(vm, vmi_json(OFF))
            # Listening bridges may stay: no frame is copied to them any more.
            until(lambda: is_down(vm, bare), f"down after {call} {number}", 60)
            assert fault.was_taken("plumb-guard")
            fault.wait_for("plumb-guard", call, f"error={error}", number)
            define(vm, vm.vmi)
            until(lambda: is_whole(vm, up), f"up after {call} {number}", 60)
        until(lambda: is_served(vm), "the guest is served", 60)
        assert "Traceback" not in vm.sidecar.log


@pytest.mark.parametrize(
    ("call", "error", "step"),
    [
        ("sendto", "ENOBUFS", 26),
        ("recvfrom", "ENOMEM", 35),
        *(
            pytest.param(call, error, 1, marks=EVERY)
            for call, error in (
                ("sendto", "ENOBUFS"),
                ("recvfrom", "ENOMEM"),
                ("recvmsg", "ENOBUFS"),
                ("socket", "EMFILE"),
                ("bind", "ENOMEM"),
                ("ioctl", "ENOMEM"),
            )
        ),
    ],
)
def test_plumb_wires_all_or_nothing_whatever_call_fails(
    tmp_path: Path, call: str, error: str, step: int
) -> None:
    """The reason is named, too; the same again, without a fault, wires and guards the pod."""
    table = codec.encode(guard.GuardTable("dsbridge", guard.filters((GUEST,))))
    asked = f"{codec.encode((PRIMARY,))}\n{table}\n"
    for number in itertools.count(1, step):
        log = tmp_path / f"{number}"
        inject = f"inject={call}:error={error}:when={number}"
        prefix = ("strace", "-qq", "-o", str(log), "-e", f"trace={call}", "-e", inject)
        with pod("flat", dad=False) as made:
            before = state(made.netns)
            done = plumb(made.netns, "wire", "guard", stdin=asked, prefix=prefix)
            if done.returncode:
                *_, last = done.stdout.splitlines()
                assert os.strerror(getattr(errno, error)) in json.loads(last)["error"]
                if "wired" not in done.stdout:
                    assert as_before(made.netns, before)
            again = plumb(made.netns, "wire", "guard", stdin=asked)
            assert again.returncode == 0, again
            assert len(json.loads(again.stdout.splitlines()[1])["places"]) == 2
        if "INJECTED" not in log.read_text():
            return
