"""What each of many sidecars on one node costs: memory, start, rest."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from bench.beds import VMI, domain
from bench.probe import prober
from bench.report import Budget, Section, Table, alone
from tests.bed.launcher import collect
from tests.bed.pod import pod
from tests.bed.processes import cpu_seconds, family, memory, running, wakeups
from tests.bed.sidecar import sidecar

MIB = 2**20
REST = 15.0
WATCHED = 10.0
_EACH = ("seconds", "cpu", "anonymous")


@dataclass(frozen=True, slots=True)
class One:
    """One sidecar when its guest has just got its leases."""

    pid: int
    seconds: float
    """From exec to a defined domain."""
    cpu: float
    anonymous: float
    """MiB."""


def measure(counts: tuple[int, ...] = (1, 10, 50, 100)) -> Section:
    """Add pod after pod, each with a guest that has its leases; look at all of them at `counts`."""
    rows = []
    with ExitStack() as stack:
        sidecars: list[One] = []
        for count in counts:
            new = [_one_more(stack) for _ in range(count - len(sidecars))]
            sidecars += new
            time.sleep(REST)
            pids = [one.pid for one in sidecars]
            last = (median(getattr(one, name) for one in new) for name in _EACH)
            rows.append((count, *last, *_memory(pids), *_idle(pids)))
    columns = (
        "pods",
        "start, s",
        "CPU of it, s",
        "anonymous when leased, MiB",
        "anonymous at rest, MiB",
        "PSS at rest, MiB",
        "wake-ups at rest, 1/s",
        "CPU at rest, %",
    )
    title = "Each sidecar, all its processes; up to `leased` the median of those added"
    how = (
        "Each pod has its own sidecar; its guest asks DORA, SOLICIT and RS once. Start: from exec "
        f"to a defined domain, KubeVirt's poll for the socket included, alone on the machine but "
        f"for the others at rest. At rest: {REST:g} s after the last guest has its leases."
    )
    first, last = rows[0], rows[-1]
    budgets = (
        Budget("anonymous memory when leased", max(row[3] for row in rows), 40.0, "MiB"),
        Budget("anonymous memory at rest", max(row[4] for row in rows), 20.0, "MiB"),
        Budget("wake-ups at rest", max(row[6] for row in rows), 1.0, "1/s"),
        Budget("CPU at rest", max(row[7] for row in rows), 0.05, "%"),
        Budget(
            f"memory when leased, {last[0]} pods beside {first[0]}", last[3] / first[3], 1.05, "x"
        ),
        Budget(f"CPU of a start, {last[0]} pods beside {first[0]}", last[2] / first[2], 1.2, "x"),
    )
    return Section("Density", how, (Table(title, columns, tuple(rows)),), budgets)


def _one_more(stack: ExitStack) -> One:
    made = stack.enter_context(pod("flat"))
    begun = time.monotonic()
    running = stack.enter_context(sidecar(made))
    with collect(running.hooks_dir) as hook:
        hook.define(domain(made, "managed"), VMI)
        seconds = time.monotonic() - begun
    guest = stack.enter_context(prober(made))
    for kind in ("dora", "solicit", "rs"):
        guest.ask(kind)
    pid = running.process.pid
    return One(pid, seconds, cpu_seconds(pid), memory(family(pid)) / MIB)


def _memory(sidecars: list[int]) -> tuple[float, float]:
    pids = [pid for one in sidecars for pid in family(one)]
    anonymous, pss = (memory(pids, kind) / MIB / len(sidecars) for kind in ("Anonymous", "Pss"))
    return anonymous, pss


def _idle(sidecars: list[int]) -> tuple[float, float]:
    pids = [pid for one in sidecars for pid in family(one)]
    woken, ran = wakeups(pids), running(pids)
    time.sleep(WATCHED)
    each = WATCHED * len(sidecars)
    return (wakeups(pids) - woken).total() / each, (running(pids) - ran).total() / 1e7 / each


if __name__ == "__main__":
    alone(measure)
