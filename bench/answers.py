"""How long a guest waits for each answer at its tap, beside dnsmasq, Kea + radvd and OVN."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack

from bench.beds import BEDS, Bed
from bench.probe import Prober, prober
from bench.report import Budget, Section, Table, alone, percentile

KINDS = {
    "discover": "DISCOVER→OFFER",
    "dora": "DORA",
    "solicit": "SOLICIT→ADVERTISE",
    "rs": "RS→RA",
}
CPUS = {"cross": 1, "same": 0}
"""Where the server runs; the prober is on CPU 0."""
BATCHES = 8
RS_GAP = 1.02
"""Seconds: RFC 4861 has routers limit their answers, and ours gives one a second."""
REST = 15.0

Times = dict[tuple[str, str, str], list[float]]
"""Microseconds by server, kind and place."""
Once = dict[tuple[str, str], float]
"""Microseconds by server and kind."""


def measure(count: int = 2000, solicitations: int = 100) -> Section:
    """Ask every server, in turns, so that what disturbs the machine disturbs all alike."""
    places = CPUS if (os.cpu_count() or 1) > 1 else {"same": 0}
    times: Times = {}
    with ExitStack() as stack:
        beds = {name: stack.enter_context(bed()) for name, bed in BEDS.items()}
        probers = {name: stack.enter_context(prober(bed.pod, cpu=0)) for name, bed in beds.items()}
        _pin(beds, next(iter(places.values())))
        cold = _once(probers)
        for place, cpu in places.items():
            _pin(beds, cpu)
            for kind in KINDS:
                batches = solicitations if kind == "rs" else BATCHES
                asked = 1 if kind == "rs" else count // BATCHES
                for name, found in _turns(probers, kind, batches, asked).items():
                    times[name, kind, place] = found
        time.sleep(REST)
        rested = _once(probers)
    how = (
        f"One prober in C holds the tap as QEMU does and asks one after the other: {count} times, "
        f"RS {solicitations} times (routers limit their answers: one every {RS_GAP} s). Requests "
        "differ in their transaction id, as a client's do. Prober on CPU 0, servers pinned, "
        "all servers up and asked in turns."
    )
    tables = (*(_compared(place, times) for place in places), _alone(cold, rested))
    return Section("Answers", how, tables, _budgets(times, cold))


def _once(probers: dict[str, Prober]) -> Once:
    return {(name, kind): one.ask(kind)[0] for name, one in probers.items() for kind in KINDS}


def _turns(
    probers: dict[str, Prober], kind: str, batches: int, asked: int
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in probers}
    for _ in range(batches):
        begun = time.monotonic()
        for name, one in probers.items():
            found[name] += one.ask(kind, asked)
        if kind == "rs":
            time.sleep(max(0.0, begun + RS_GAP - time.monotonic()))
    return found


def _pin(beds: dict[str, Bed], cpu: int) -> None:
    for bed in beds.values():
        for pid in bed.servers():
            subprocess.run(
                ["taskset", "-acp", str(cpu), str(pid)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,  # it may have ended meanwhile
            )


def _compared(place: str, times: Times) -> Table:
    rows = []
    for kind, title in KINDS.items():
        ours = percentile(times["dsbridge", kind, place], 0.5)
        for name in BEDS:
            found = times[name, kind, place]
            half = percentile(found, 0.5)
            worst = (percentile(found, 0.99), max(found))
            rows.append((f"{title}, {name}", half, *worst, ours / half))
    where = "another" if place == "cross" else "the same"
    columns = ("µs", "p50", "p99", "max", "dsbridge's p50 / this p50")
    return Table(f"Server on {where} CPU", columns, tuple(rows))


def _alone(cold: Once, rested: Once) -> Table:
    rows = [
        (f"{title}, {name}", cold[name, kind], rested[name, kind])
        for kind, title in KINDS.items()
        for name in BEDS
    ]
    columns = ("µs", "of a new server", f"after {REST:g} s of silence")
    return Table("A first answer", columns, tuple(rows))


def _budgets(times: Times, cold: Once) -> tuple[Budget, ...]:
    def ratio(kind: str, place: str) -> float:
        ours, theirs = (percentile(times[name, kind, place], 0.5) for name in _RIVALS)
        return ours / theirs

    compared = dict.fromkeys((kind, place) for _, kind, place in times)
    ratios = [
        Budget(f"{KINDS[kind]} p50 beside dnsmasq's, {place} CPU", ratio(kind, place), 1.0, "x")
        for kind, place in compared
    ]
    first = max(cold["dsbridge", kind] for kind in KINDS) / 1000
    return (*ratios, Budget("the slowest first answer", first, 5.0, "ms"))


_RIVALS = ("dsbridge", "dnsmasq")

if __name__ == "__main__":
    alone(measure)
