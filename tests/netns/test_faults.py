"""Calls that fail for want of memory, descriptors, processes or room, in every program (strace)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.launcher import Hook, collect
from tests.bed.pod import Pod, pod
from tests.bed.pod_state import state
from tests.bed.sidecar import Sidecar, sidecar
from tests.samples import OWN_DOMAIN, vmi_json

TRIES = 6
"""virt-handler calls again and again."""


def failing(call: str, error: str, when: str) -> tuple[str, ...]:
    """Return a command under which some of these calls of each process fail."""
    inject = f"inject={call}:error={error}:when={when}"
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)


@contextmanager
def started(call: str, error: str, when: str) -> Iterator[tuple[Pod, Sidecar, Hook]]:
    with (
        pod("flat") as made,
        sidecar(made, prefix=failing(call, error, when)) as running,
        collect(running.hooks_dir) as hook,
    ):
        yield made, running, hook


def refusals(hook: Hook) -> list[str]:
    """Call as KubeVirt does; return why each call but the last was refused."""
    said: list[str] = []
    for _ in range(TRIES):
        try:
            hook.define(OWN_DOMAIN, vmi_json())
        except grpc.RpcError as error:
            said.append(str(error.details()))
        else:
            break
    return said


@pytest.mark.parametrize(
    ("call", "error", "when"),
    [
        ("recvmsg", "ENOBUFS", "9+23"),
        ("sendmsg", "ENOBUFS", "6+7"),
        ("clone3", "EAGAIN", "2+3"),
        ("write", "ENOSPC", "4+6"),
    ],
)
def test_the_guest_gets_its_lease_all_the_same(call: str, error: str, when: str) -> None:
    with started(call, error, when) as (made, running, hook):
        assert len(refusals(hook)) < TRIES, running.log
        mac, mtu = made.layout.mac, made.layout.mtu
        with (
            cable(made.netns, "tap0", mac=mac, mtu=mtu) as guest,
            client("networkd", guest, made.workdir) as asking,
        ):
            assert asking.lease(30).ipv4 == made.layout.ipv4
        assert running.process.poll() is None


def test_a_guard_that_finds_no_memory_undoes_the_wiring_and_says_so() -> None:
    with started("sendto", "ENOBUFS", "9+23") as (made, running, hook):
        before = state(made.netns)
        said = refusals(hook)
        assert len(said) == TRIES
        assert all("No buffer space available" in one for one in said if "undone" in one), said
        assert state(made.netns) == before
        assert running.process.poll() is None
