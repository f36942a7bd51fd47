"""A guest that sends as fast as it can, while its sidecar has a fifth of a CPU."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

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
        return _flooded(seconds)
    except NoQuotaError as error:
        return Section("Flood", f"Not measured: {error}.", ())


def _flooded(seconds: float) -> Section:
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
                watch = _Watch(hook, running.process.pid)
                watch.start()
                sent, recovered = guest.flood(seconds)
                watch.ended.set()
                watch.join()
                after = memory(family(running.process.pid))
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
    how = (
        "DISCOVER, SOLICIT, RS, NS for the router and broken copies of them from one CPU, "
        f"{seconds:g} s without a pause. The sidecar is in a cgroup (v{group.version}) with "
        f"{MILLICORES}m and {MEMORY} bytes. Info is asked every {_BETWEEN} s; the honest DISCOVER "
        "is sent again every 0.1 s until it is answered."
    )
    budgets = (
        Budget("slowest Info", max(watch.info), 1.0, "s"),
        Budget("next honest request answered after", recovered, 1.0, "s"),
        Budget("growth of memory", (most - before) / MIB, 2.0, "MiB"),
        Budget("killed for memory", killed, 0, ""),
        Budget("restarts of serve", restarts, 0, ""),
    )
    return Section("Flood", how, (Table("During and after", ("", "found"), rows),), budgets)


_READ = ("DISCOVER", "SOLICIT", "RS", "NS", "malformed")


class _Watch(threading.Thread):
    """Asks Info and reads the memory while the guest floods."""

    def __init__(self, hook: Hook, pid: int) -> None:
        super().__init__()
        self.ended = threading.Event()
        self.info: list[float] = []
        self.memory: list[int] = []
        self._hook = hook
        self._pid = pid

    def run(self) -> None:
        while not self.ended.wait(_BETWEEN):
            begun = time.monotonic()
            # A failed call counts by the seconds that it took.
            with suppress(grpc.RpcError), self._hook.dial() as channel:
                info_pb2_grpc.InfoStub(channel).Info(info_pb2.InfoParams(), timeout=_GIVEN_UP)
            self.info.append(time.monotonic() - begun)
            self.memory.append(memory(family(self._pid)))


if __name__ == "__main__":
    alone(measure)
