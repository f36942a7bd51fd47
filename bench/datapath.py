"""What the sidecar costs the guest's own traffic: iperf3 with and without it, in turns.

A veth stands for the tap: filters hook in at the same place, and no program that carries
frames limits the rate.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from bench.beds import DOMAINS, LAYOUT, ROUTER4, VMI
from bench.report import Budget, Section, Table, alone
from tests.bed.handler import managed_tap
from tests.bed.launcher import collect, phase2
from tests.bed.netns import Netns, end, netns
from tests.bed.pod import Pod, pod
from tests.bed.processes import family, running, wakeups
from tests.bed.sidecar import Sidecar, sidecar
from tests.bed.wait import until

LOADS = {
    "TCP from the guest, Gb/s": ("-Z",),
    "TCP to the guest, Gb/s": ("-Z", "-R"),
    "UDP 64 B from the guest, kpps": ("-u", "-b", "0", "-l", "64"),
    "UDP 64 B to the guest, kpps": ("-u", "-b", "0", "-l", "64", "-R"),
}
_SETTLED = 5.0
"""Seconds after which a sidecar has found the gateways."""


@dataclass(frozen=True, slots=True)
class Path:
    """A guest behind NIC, bridge and tap; with or without a sidecar."""

    pod: Pod
    guest: Netns
    sidecar: Sidecar | None


def measure(rounds: int = 6, seconds: float = 5.0) -> Section:
    """Run every load on both paths, first the one and then the other, `rounds` times."""
    found: dict[tuple[str, bool], list[float]] = {}
    cpu, switches = 0.0, Counter[int]()
    with ExitStack() as stack:
        paths = [stack.enter_context(_path(served=served)) for served in (False, True)]
        time.sleep(_SETTLED)
        for turn in range(rounds):
            for load in LOADS:
                for path in paths if turn % 2 else paths[::-1]:
                    pids = family(path.sidecar.process.pid) if path.sidecar else []
                    ran, woken = running(pids), wakeups(pids)
                    rate = _iperf3(path, load, seconds)
                    pids = family(path.sidecar.process.pid) if path.sidecar else []
                    cpu += (running(pids) - ran).total() / 1e9
                    switches += wakeups(pids) - woken
                    found.setdefault((load, path.sidecar is not None), []).append(rate)
    loaded = rounds * len(LOADS) * seconds
    rows, budgets = [], []
    for load in LOADS:
        without, served = found[load, False], found[load, True]
        ratios = [a / b for a, b in zip(served, without, strict=True)]
        spread = (max(without) - min(without)) / median(without)
        rows.append((load, median(without), median(served), median(ratios), spread))
        budgets.append(Budget(load.partition(",")[0], median(ratios), 0.99, "x", least=True))
    columns = ("", "without", "with", "median of the pairs' ratios", "spread without")
    used = Table(
        "The sidecar's processes meanwhile",
        ("", "found"),
        (
            ("CPU per second of load, %", 100 * cpu / loaded),
            ("wake-ups per second of load", switches.total() / loaded),
        ),
    )
    how = (
        f"iperf3 between guest and gateway through NIC, bridge and tap (a veth in its place), "
        f"{rounds} rounds of {seconds:g} s, with and without in turns, which begins changing every "
        "round. The spread of equal runs (most less least, over the median) says how much of a "
        "ratio is noise."
    )
    budgets.append(Budget("CPU of the sidecar", 100 * cpu / loaded, 0.1, "%"))
    return Section("Data path", how, (Table("Rate", columns, tuple(rows)), used), tuple(budgets))


@contextmanager
def _path(*, served: bool) -> Iterator[Path]:
    with ExitStack() as stack:
        made = stack.enter_context(pod(LAYOUT))
        side = stack.enter_context(sidecar(made)) if served else None
        hook = stack.enter_context(collect(side.hooks_dir)) if side else None
        guest = stack.enter_context(netns("guest"))
        managed_tap(made.netns)
        layout = made.layout
        made.netns.ip(f"""
            link del tap0
            link add tap0 mtu {layout.mtu} type veth peer name eth0 address {layout.mac} \
                mtu {layout.mtu} netns {guest.name}
            link set tap0 master k6t-eth0 up""")
        guest.ip(f"link set eth0 up\naddr add {layout.ipv4[0]} dev eth0")
        if hook:
            hook.define(phase2(DOMAINS["managed"], mac=layout.mac, mtu=layout.mtu), VMI)
        server = made.gateway.popen("iperf3", "--server", "--logfile", f"{made.workdir}/iperf3")
        stack.callback(end, server)
        until(lambda: guest.reaches(ROUTER4), "the gateway")
        yield Path(made, guest, side)


def _iperf3(path: Path, load: str, seconds: float) -> float:
    words = ("iperf3", "--json", "-c", ROUTER4, "-t", f"{seconds:g}", *LOADS[load])
    end_ = json.loads(path.guest.run(*words, timeout=seconds + 20))["end"]
    if load.startswith("TCP"):
        return end_["sum_received"]["bits_per_second"] / 1e9
    # What arrived: datagrams sent, less the lost.
    total = end_["sum"]
    return (total["packets"] - total["lost_packets"]) / total["seconds"] / 1e3


if __name__ == "__main__":
    alone(measure)
