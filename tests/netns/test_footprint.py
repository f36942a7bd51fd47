"""What a sidecar costs its pod: memory, sleep and the CPU time of a start, within budgets.

Times that depend on the machine are measured by `make bench`, not asserted here.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.launcher import collect
from tests.bed.pod import NAMESERVERS, pod
from tests.bed.processes import cpu_seconds, family, memory, running, threads, wakeups
from tests.bed.sidecar import sidecar
from tests.bed.wait import crowd, until

MIB = 2**20
SERVING, WITH_HOOKS = 34 * MIB, 40 * MIB
AT_REST = 9 * MIB
START = 0.8
"""CPU seconds of four programs, twice what an idle machine needs."""
SERIES = 45
"""Seconds of the first router advertisements (RFC 4861 section 6.2.4): three, 16 s apart."""
WATCHED = 20
"""Seconds."""
BUSY = 0.0005
"""CPU seconds per second of all: 0.0 %."""
WOKEN = 0.1
"""Wake-ups per second of all threads."""


@pytest.mark.parametrize("shape", ["managed", "own"])
def test_all_programs_together_stay_small_while_they_serve(shape: str, tmp_path: Path) -> None:
    with (
        started("flat", shape, DSBRIDGE_HOOKS_LINGER="10") as vm,
        client("networkd", vm.guest, tmp_path) as guest,
    ):
        guest.lease(30, dns=NAMESERVERS)
        sidecar = vm.sidecar.process.pid
        until(lambda: not is_plumb_there(sidecar), "plumb has ended")  # it has 9 MiB for a moment
        assert used(sidecar) <= WITH_HOOKS
        until(lambda: len(family(sidecar)) <= 2, "nobody but sidecar and serve", 30)
        assert used(sidecar) <= SERVING


def is_plumb_there(pid: int) -> bool:
    return any(b"binding.plumb" in Path(f"/proc/{one}/cmdline").read_bytes() for one in family(pid))


def used(pid: int) -> float:
    return sum(memory([one]) for one in family(pid))


def test_a_guest_that_has_its_leases_lets_the_sidecar_sleep(tmp_path: Path) -> None:
    with (
        started("flat", "managed", DSBRIDGE_HOOKS_LINGER="10") as vm,
        client("networkd", vm.guest, tmp_path) as guest,
    ):
        guest.lease(30, dns=NAMESERVERS)
        sidecar = vm.sidecar.process.pid
        until(lambda: family(sidecar) == [sidecar], "nobody but the sidecar", 30)
        # It gives memory back once it has reaped the last of them.
        until(lambda: memory([sidecar]) <= AT_REST, "memory given back")
        assert len(threads(sidecar)) == 1
        time.sleep(SERIES)
        ran, woken = running([sidecar]), wakeups([sidecar])
        time.sleep(WATCHED)
        assert (wakeups([sidecar]) - woken).total() <= WATCHED * WOKEN
        busy = (running([sidecar]) - ran).total() / 1e9
        assert busy <= WATCHED * BUSY
        assert family(sidecar) == [sidecar]


def rested(pid: int) -> float:
    """Return the CPU seconds of all processes once nobody runs any more, else 0."""
    before = cpu_seconds(pid)
    time.sleep(0.3 * crowd())
    used = cpu_seconds(pid)
    return used if used == before else 0


def test_a_start_costs_little_cpu_time() -> None:
    for _ in ("writes the bytecode that an image has", "is measured"):
        with pod("flat") as made, sidecar(made) as side, collect(side.hooks_dir):
            # Only one that has read the pod has its socket; serve is still importing, maybe.
            used = until(partial(rested, side.process.pid), "it rests")
    assert used <= START
