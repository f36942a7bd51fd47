"""How long a guest waits for each answer at its tap, beside dnsmasq, Kea + radvd and OVN.

Each request is asked in three ways: again, with another transaction id; again, in words that no
request had before (of equal meaning, none alike); for options never asked for together (the first
of its kind). Figures of identical requests alone would mislead: real clients send none.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from bench.beds import Bed, Tap, dnsmasq_at_tap, dsbridge, kea, ovn_bed
from bench.probe import Prober, plugged
from bench.report import Budget, Section, Table, alone, percentile

KINDS = {
    "discover": "DISCOVER→OFFER",
    "dora": "DORA",
    "solicit": "SOLICIT→ADVERTISE",
    "rs": "RS→RA",
}
WAYS = {"same": "the same again", "alike": "equal meaning, none alike", "new": "first of a kind"}
CPUS = {"same": 0, "cross": 1}
"""Where all servers run; the prober is on CPU 0."""
BATCHES = 8
FIRSTS = 160
"""Requests of the first kind, of which each server has yet to build the answer."""
RS_GAP = 1.02
"""Seconds: RFC 4861 has routers limit their answers, and ours gives one a second."""
REST = 15.0
LIMITS = {"same": 1.0, "alike": 2.0}
"""Our median over dnsmasq's."""

Times = dict[tuple[str, str, str, str], list[float]]
"""Microseconds by server, kind, way and place."""
Once = dict[tuple[str, str], float]
"""Microseconds by server and kind."""


@contextmanager
def _in_pod(bed: Callable[[], AbstractContextManager[Bed]]) -> Iterator[Tap]:
    with bed() as made:
        yield made.tap


SERVERS: dict[str, Callable[[], AbstractContextManager[Tap]]] = {
    "dsbridge": lambda: _in_pod(dsbridge),
    "dnsmasq": dnsmasq_at_tap,
    "Kea + radvd": lambda: _in_pod(kea),
    "OVN": lambda: _in_pod(ovn_bed),
}


def measure(
    count: int = 2000, solicitations: int = 60, servers: Sequence[str] = tuple(SERVERS)
) -> Section:
    """Ask every server, in turns, so that what disturbs the machine disturbs all alike."""
    places = CPUS if (os.cpu_count() or 1) > 1 else {"same": 0}
    times: Times = {}
    with ExitStack() as stack:
        taps = {name: stack.enter_context(SERVERS[name]()) for name in servers}
        probers = {
            name: stack.enter_context(plugged(tap.netns, tap.mac, cpu=0))
            for name, tap in taps.items()
        }
        _pin(taps, 0)
        cold = _once(probers)
        for place, cpu in places.items():
            _pin(taps, cpu)
            for kind, way in _questions():
                most = FIRSTS if way == "new" else count
                batches = solicitations if kind == "rs" else BATCHES
                asked = 1 if kind == "rs" else min(count, most) // BATCHES
                for name, found in _turns(probers, (kind, way), batches, asked).items():
                    times[name, kind, way, place] = found
        time.sleep(REST)
        rested = _once(probers)
    how = (
        f"One prober in C holds the tap as QEMU does and asks one after the other: {count} times, "
        f"RS {solicitations} times (routers limit their answers: one every {RS_GAP} s), "
        f"{min(count, FIRSTS)} of the first kind. dnsmasq is at the tap itself, as dsbridge is. "
        "Prober on CPU 0, servers pinned, all servers up and asked in turns."
    )
    tables = (*(_compared(place, times, servers) for place in places), _alone(cold, rested))
    return Section("Answers", how, tables, _budgets(times, cold))


def _questions() -> Iterator[tuple[str, str]]:
    for kind in KINDS:
        for way in WAYS:
            if (kind, way) != ("rs", "new"):  # an RS asks for nothing
                yield kind, way


def _once(probers: dict[str, Prober]) -> Once:
    return {(name, kind): one.ask(kind)[0] for name, one in probers.items() for kind in KINDS}


def _turns(
    probers: dict[str, Prober], question: tuple[str, str], batches: int, asked: int
) -> dict[str, list[float]]:
    kind, way = question
    found: dict[str, list[float]] = {name: [] for name in probers}
    for _ in range(batches):
        begun = time.monotonic()
        for name, one in probers.items():
            found[name] += one.ask(kind, asked, way=way)
        if kind == "rs":
            time.sleep(max(0.0, begun + RS_GAP - time.monotonic()))
    return found


def _pin(taps: dict[str, Tap], cpu: int) -> None:
    for tap in taps.values():
        for pid in tap.servers():
            subprocess.run(
                ["taskset", "-acp", str(cpu), str(pid)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,  # the process may have ended
            )


def _compared(place: str, times: Times, servers: Sequence[str]) -> Table:
    rows = []
    for kind, way in _questions():
        ours = percentile(times["dsbridge", kind, way, place], 0.5)
        for name in servers:
            found = times[name, kind, way, place]
            half = percentile(found, 0.5)
            worst = (percentile(found, 0.99), max(found))
            rows.append((f"{KINDS[kind]}, {WAYS[way]}, {name}", half, *worst, ours / half))
    where = "another CPU than the guest" if place == "cross" else "the guest's CPU"
    columns = ("µs", "p50", "p99", "max", "dsbridge's p50 / this p50")
    return Table(f"Servers on {where}", columns, tuple(rows))


def _alone(cold: Once, rested: Once) -> Table:
    rows = [
        (f"{KINDS[kind]}, {name}", found, rested[name, kind])
        for (name, kind), found in cold.items()
    ]
    columns = ("µs", "of a new server", f"after {REST:g} s of silence")
    return Table("A first answer", columns, tuple(rows))


def _budgets(times: Times, cold: Once) -> tuple[Budget, ...]:
    """Return what is promised where guest and servers share one CPU."""
    halves = {asked: percentile(found, 0.5) for asked, found in times.items()}
    ratios = [
        Budget(
            f"{KINDS[kind]} p50 beside dnsmasq's, {WAYS[way]}",
            halves["dsbridge", kind, way, "same"] / halves["dnsmasq", kind, way, "same"],
            LIMITS[way],
            "x",
        )
        for kind, way in _questions()
        if way in LIMITS
    ]
    firsts = [half for (name, _, way, _), half in halves.items() if (name, way) == _FIRSTS]
    slowest = max(cold["dsbridge", kind] for kind in KINDS)
    return (
        *ratios,
        Budget("slowest p50 of the first of a kind", max(firsts) / 1000, 5.0, "ms"),
        Budget("slowest first answer of a new process", slowest / 1000, 5.0, "ms"),
    )


_FIRSTS = ("dsbridge", "new")

if __name__ == "__main__":
    alone(measure)
