"""What each of many sidecars on one node costs: memory, start, rest."""

from __future__ import annotations

import time
from contextlib import ExitStack
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
RESTING_MIB = 20.0


def measure(counts: tuple[int, ...] = (1, 10, 50, 100)) -> Section:
    """Add pod after pod, each with a guest that has its leases; look at all of them at `counts`."""
    rows = []
    with ExitStack() as stack:
        sidecars: list[int] = []
        starts: list[float] = []
        cpu: list[float] = []
        for count in counts:
            for _ in range(count - len(sidecars)):
                pid, seconds = _one_more(stack)
                sidecars.append(pid)
                starts.append(seconds)
                cpu.append(cpu_seconds(pid))
            new = starts[rows[-1][0] if rows else 0 :]
            serving = _memory(sidecars)
            time.sleep(REST)
            resting = _memory(sidecars)
            rows.append((count, median(new), median(cpu), *serving, *resting, *_idle(sidecars)))
    columns = (
        "pods",
        "start of the last, s",
        "CPU of it, s",
        "PSS each, MiB",
        "anonymous each, MiB",
        "PSS at rest, MiB",
        "anonymous at rest, MiB",
        "wake-ups each, 1/s",
        "CPU each, %",
    )
    title = "Per sidecar, all its processes"
    how = (
        "Each pod has its own sidecar; its guest asks DORA, SOLICIT and RS once. Start: from exec "
        f"to a defined domain, KubeVirt's poll for the socket included, alone on the machine but "
        f"for the others at rest. At rest: {REST:g} s after the last guest has its leases."
    )
    first, last = rows[0], rows[-1]
    budgets = (
        Budget("anonymous memory while serving", max(row[4] for row in rows), 40.0, "MiB"),
        Budget("anonymous memory at rest", max(row[6] for row in rows), RESTING_MIB, "MiB"),
        Budget("wake-ups at rest", max(row[7] for row in rows), 1.0, "1/s"),
        Budget("CPU at rest", max(row[8] for row in rows), 0.05, "%"),
        Budget(f"memory each, {last[0]} pods beside {first[0]}", last[4] / first[4], 1.05, "x"),
        Budget(f"start, {last[0]} pods beside {first[0]}", last[1] / first[1], 1.2, "x"),
    )
    return Section("Density", how, (Table(title, columns, tuple(rows)),), budgets)


def _one_more(stack: ExitStack) -> tuple[int, float]:
    made = stack.enter_context(pod("flat"))
    begun = time.monotonic()
    running = stack.enter_context(sidecar(made))
    with collect(running.hooks_dir) as hook:
        hook.define(domain(made, "managed"), VMI)
        seconds = time.monotonic() - begun
    guest = stack.enter_context(prober(made))
    for kind in ("dora", "solicit", "rs"):
        guest.ask(kind)
    return running.process.pid, seconds


def _memory(sidecars: list[int]) -> tuple[float, float]:
    pids = [pid for one in sidecars for pid in family(one)]
    pss, anonymous = (memory(pids, kind) / MIB / len(sidecars) for kind in ("Pss", "Anonymous"))
    return pss, anonymous


def _idle(sidecars: list[int]) -> tuple[float, float]:
    pids = [pid for one in sidecars for pid in family(one)]
    woken, ran = wakeups(pids), running(pids)
    time.sleep(WATCHED)
    each = WATCHED * len(sidecars)
    return (wakeups(pids) - woken).total() / each, (running(pids) - ran).total() / 1e7 / each


if __name__ == "__main__":
    alone(measure)
