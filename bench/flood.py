"""A guest that sends as fast as it can, while its sidecar has a fifth of a CPU."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import grpc

from bench.beds import VMI, domain
from bench.probe import prober
from bench.quota import NoQuotaError, quota
from bench.report import Budget, Section, Table, alone, percentile
from proto import info_pb2, info_pb2_grpc
from tests.bed.launcher import Hook, collect
from tests.bed.pod import pod
from tests.bed.processes import family, memory
from tests.bed.sidecar import sidecar

MILLICORES, MEMORY = 200, 64_000_000
MIB = 2**20
_BETWEEN = 0.2
_GIVEN_UP = 20.0


def measure(seconds: float = 20.0) -> Section:
    try:
        return _of_both(_flooded(seconds, costly=False), _flooded(seconds, costly=True))
    except NoQuotaError as error:
        return Section("Flood", f"Not measured: {error}.", ())


def _of_both(mixed: Flood, costly: Flood) -> Section:
    rows = tuple(zip(mixed.rows, costly.rows, strict=True))
    table = Table(
        "During and after",
        ("", "all kinds and broken ones", "1,200 octets, new clients"),
        tuple((name, one, other) for (name, one), (_, other) in rows),
    )
    how = (
        "First DISCOVER, SOLICIT, RS, NS for the router and broken copies of them, then DISCOVERs "
        "and SOLICITs of 1,200 octets, each with identifiers that are new; from one CPU, "
        f"{mixed.seconds:g} s without a pause. The sidecar is in a cgroup (v{mixed.version}) with "
        f"{MILLICORES}m and {MEMORY} bytes. Info is asked every {_BETWEEN} s; the honest DISCOVER "
        "is sent again every 0.1 s until it is answered."
    )
    return Section("Flood", how, (table,), (*mixed.budgets, *costly.budgets))


@dataclass(frozen=True, slots=True)
class Flood:
    """What was found during and after one flood."""

    seconds: float
    version: int
    rows: tuple[tuple[str, float], ...]
    budgets: tuple[Budget, ...]


def _flooded(seconds: float, *, costly: bool) -> Flood:
    with pod("flat") as made, quota(MILLICORES, MEMORY) as group:
        with group.inside():
            context = sidecar(made)
            running = context.__enter__()
        try:
            text = domain(made, "managed")
            with collect(running.hooks_dir) as hook, prober(made) as guest:
                hook.define(text, VMI)
                pids = family(running.process.pid)
                for kind in ("dora", "solicit", "rs"):
                    guest.ask(kind)
                before = memory(pids)
                watch = _Watch(hook, pids)
                watch.start()
                sent, recovered = guest.flood(seconds, costly=costly)
                watch.ended.set()
                watch.join()
                after = memory(pids)
                counters = running.status()["guests"][0]["counters"]
                restarts = sum(one.get("restarts", 0) for one in running.status()["processes"])
        finally:
            context.__exit__(None, None, None)
        killed, used, peak = group.oom_kills(), group.cpu_seconds(), group.peak_bytes()
    most = max(watch.memory, default=after)
    rows = (
        ("frames sent", sent),
        ("frames a second", sent / seconds),
        ("frames that were read", sum(n for name, n in counters.items() if name in _READ)),
        ("Info p50, ms", 1000 * percentile(watch.info, 0.5)),
        ("Info slowest, ms", 1000 * max(watch.info)),
        ("next honest DISCOVER answered after, ms", 1000 * recovered),
        ("anonymous before, MiB", before / MIB),
        ("anonymous most, MiB", most / MIB),
        ("anonymous after, MiB", after / MIB),
        ("most memory with page cache, MB", peak / 1e6),
        ("CPU of the sidecar in all, s", used),
    )
    what = "a costly flood" if costly else "a flood"
    budgets = (
        Budget(f"slowest Info in {what}", max(watch.info), 1.0, "s"),
        Budget(f"next honest request answered after {what}", recovered, 1.0, "s"),
        Budget(f"growth of memory in {what}", (most - before) / MIB, 2.0, "MiB"),
        Budget(f"killed for memory in {what}", killed, 0, ""),
        Budget(f"restarts of serve in {what}", restarts, 0, ""),
    )
    return Flood(seconds, group.version, rows, budgets)


_READ = ("DISCOVER", "SOLICIT", "RS", "NS", "malformed")


class _Watch(threading.Thread):
    """Asks Info and reads the memory while the guest floods."""

    def __init__(self, hook: Hook, pids: list[int]) -> None:
        super().__init__()
        self.ended = threading.Event()
        self.info: list[float] = []
        self.memory: list[int] = []
        self._hook = hook
        self._pids = pids

    def run(self) -> None:
        while not self.ended.wait(_BETWEEN):
            begun = time.monotonic()
            # A failed call counts by the seconds that it took.
            with suppress(grpc.RpcError), self._hook.dial() as channel:
                info_pb2_grpc.InfoStub(channel).Info(info_pb2.InfoParams(), timeout=_GIVEN_UP)
            self.info.append(time.monotonic() - begun)
            self.memory.append(memory(self._pids))


if __name__ == "__main__":
    alone(measure)
