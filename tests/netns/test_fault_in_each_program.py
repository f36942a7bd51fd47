"""One call of serve, hooks or the sidecar fails, each in turn: the guest ends served (strace).

`make test` tries a few calls, `make test-all` every one, of those behind Python's imports.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bed.faulty import define, flush, is_served, is_whole, rules, running
from tests.bed.guests import Started
from tests.bed.one_fault import of_running, until_no_call
from tests.bed.pod_state import links
from tests.bed.wait import until
from tests.samples import vmi_json

pytestmark = pytest.mark.timeout(7200)
EVERY = pytest.mark.matrix


def pid_of(vm: Started, name: str) -> int:
    return next(one for one in vm.sidecar.status()["processes"] if one["name"] == name)["pid"]


FOR_PROGRAMS = [
    ("socket", "EMFILE", 1),
    ("openat", "ENFILE", 13),
    ("recvmsg", "ENOBUFS", 1),
    ("sendmsg", "ENOBUFS", 1),
    ("sendto", "ENOBUFS", 1),
    ("setsockopt", "ENOMEM", 1),
    ("mmap", "ENOMEM", 5),
    ("epoll_ctl", "ENOMEM", 1),
    ("accept4", "EMFILE", 1),
]
"""The step where each try is a start of Python, most calls of which are imports."""


@pytest.mark.parametrize(
    ("call", "error", "step"),
    [
        ("recvmsg", "ENOBUFS", 8),
        *(pytest.param(*each, marks=EVERY) for each in FOR_PROGRAMS if each[0] != "accept4"),
    ],
)
def test_the_guest_is_served_whatever_call_of_serve_fails(
    tmp_path: Path, call: str, error: str, step: int
) -> None:
    with running("managed", tmp_path / "fault") as (vm, fault):
        for number in until_no_call(fault, "serve", step):
            fault.wait_for("serve", call, f"error={error}", number)
            if pid := pid_of(vm, "serve"):
                os.kill(pid, signal.SIGKILL)
            until(
                lambda: is_served(vm) and fault.was_taken("serve"),
                f"served after {call} {number}",
                120,
            )
        assert vm.sidecar.process.poll() is None


@pytest.mark.parametrize(
    ("call", "error", "step"),
    [
        ("accept4", "EMFILE", 1),
        *(pytest.param(*each, marks=EVERY) for each in FOR_PROGRAMS),
    ],
)
def test_a_hook_call_is_answered_whatever_call_of_hooks_fails(
    tmp_path: Path, call: str, error: str, step: int
) -> None:
    with running("managed", tmp_path / "fault") as (vm, fault):
        whole = rules(vm), links(vm.pod.netns)
        for number in until_no_call(fault, "hooks", step):
            fault.wait_for("hooks", call, f"error={error}", number)
            if pid := pid_of(vm, "hooks"):
                os.kill(pid, signal.SIGKILL)
            define(vm, vmi_json({"dsbridge.io/default": {"lease": 600 + number}}))
            until(lambda: fault.was_taken("hooks"), "hooks runs", 60)
            assert is_whole(vm, whole)
        until(lambda: is_served(vm), "the guest is served", 60)
        assert vm.sidecar.process.poll() is None


@pytest.mark.parametrize(
    ("call", "error", "numbers"),
    [
        ("socket", "EMFILE", (2,)),
        ("clone3", "EAGAIN", (1,)),
        *(
            pytest.param(call, error, range(1, 16), marks=EVERY)
            for call, error in (
                *(("socket", "EMFILE"), ("openat", "ENFILE"), ("memfd_create", "EMFILE")),
                *(("clone3", "EAGAIN"), ("sendmsg", "ENOBUFS"), ("recvmsg", "ENOMEM")),
                *(("sendto", "ENOBUFS"), ("recvfrom", "ENOBUFS"), ("socketpair", "ENFILE")),
                *(("epoll_ctl", "ENOMEM"), ("epoll_wait", "ENOMEM"), ("accept4", "EMFILE")),
                *(("bind", "ENOMEM"), ("setsockopt", "ENOMEM"), ("mmap", "ENOMEM")),
                *(("write", "ENOSPC"), ("rename", "ENOSPC"), ("dup", "EMFILE")),
            )
        ),
    ],
)
def test_the_sidecar_goes_on_whatever_call_of_its_own_fails(
    tmp_path: Path, call: str, error: str, numbers: Sequence[int]
) -> None:
    """In the midst of a hook call, of a killed serve, of a guard that is set again."""
    with running("managed", tmp_path / "fault") as (vm, _):
        whole = rules(vm), links(vm.pod.netns)
        for number in numbers:
            log = tmp_path / "log"
            with of_running(vm.sidecar.process.pid, call, f"error={error}", number, log):
                if pid := pid_of(vm, "serve"):
                    os.kill(pid, signal.SIGKILL)
                flush(vm)
                define(vm, vmi_json({"dsbridge.io/default": {"lease": 600 + number}}))
                until(lambda: is_served(vm), f"served after {call} {number}", 120)
                until(lambda: is_whole(vm, whole), f"whole after {call} {number}", 120)
            assert vm.sidecar.process.poll() is None
