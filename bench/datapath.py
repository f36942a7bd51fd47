"""What the sidecar costs the guest's own traffic, with and without it, in turns.

A veth stands for the tap: filters hook in at the same place, and no program that carries
frames limits the rate.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from statistics import median

from bench.beds import DOMAINS, LAYOUT, ROUTER4, VMI
from bench.probe import built
from bench.report import Budget, Section, Table, alone
from tests.bed.handler import managed_tap
from tests.bed.launcher import collect, phase2
from tests.bed.netns import Netns, end, netns
from tests.bed.pod import Pod, pod
from tests.bed.processes import family, running, wakeups
from tests.bed.sidecar import Sidecar, sidecar
from tests.bed.wait import until

LOADS = {
    "TCP from the guest, ns for 64 KiB": ("tcp", True),
    "TCP to the guest, ns for 64 KiB": ("tcp", False),
    "UDP from the guest, ns for 64 B": ("udp", True),
    "UDP to the guest, ns for 64 B": ("udp", False),
}
"""By protocol, and whether the guest sends."""
CONTROL, WITHOUT, WITH = "without, again", "without", "with"
_SETTLED = 5.0
"""Seconds until a sidecar has found the gateways."""
_ONE_CPU = ("taskset", "-c", "0")
_SLICE_MS = 30
_TRIES = 3
"""Slices, of which the quickest counts: other processes seldom disturb all of them."""

Found = dict[tuple[str, str], list[float]]
"""By load and path."""


@dataclass(frozen=True, slots=True)
class Path:
    """A guest behind NIC, bridge and tap; with or without a sidecar."""

    pod: Pod
    guest: Netns
    sidecar: Sidecar | None
    senders: dict[str, subprocess.Popen[bytes]]
    """By load."""


def measure(rounds: int = 200) -> Section:
    """Run every load on all paths in short turns, in an order that changes."""
    found: Found = {}
    chance = Random(0)
    with ExitStack() as stack:
        paths = {
            name: stack.enter_context(_path(served=name == WITH))
            for name in (CONTROL, WITHOUT, WITH)
        }
        time.sleep(_SETTLED)
        pids = family(paths[WITH].sidecar.process.pid)
        ran, woken = running(pids), wakeups(pids)
        for load in LOADS:
            for _ in range(rounds):
                for name in chance.sample(list(paths), len(paths)):
                    found.setdefault((load, name), []).append(_cost(paths[name], load))
        used = (running(family(pids[0])) - ran).total() / 1e9
        switches = wakeups(family(pids[0])) - woken
    loaded = len(LOADS) * rounds * _TRIES * _SLICE_MS / 1000
    meanwhile = Table(
        f"The sidecar's processes, in {loaded:.0f} s of traffic at line rate",
        ("", "found"),
        (
            ("CPU per second of load, %", 100 * used / loaded),
            ("wake-ups per second of load", switches.total() / loaded),
        ),
    )
    how = (
        "Between guest and gateway, through NIC, bridge and tap (a veth in its place), on three "
        "pods: two without a sidecar and one with it. One CPU runs both ends and walks the whole "
        f"way. {rounds} rounds, their order drawn by chance, each the best of {_TRIES} slices of "
        f"{_SLICE_MS} ms. `control` is the ratio of the two pods without a sidecar: how far from 1 "
        "that is, is noise."
    )
    budgets = (
        *(
            Budget(load.partition(",")[0], _ratio(found, load), 0.99, "x", least=True)
            for load in LOADS
        ),
        Budget("CPU of the sidecar", 100 * used / loaded, 0.1, "%"),
    )
    return Section("Data path", how, (_table(found), meanwhile), budgets)


def _table(found: Found) -> Table:
    rows = []
    for load in LOADS:
        without, served = (median(found[load, name]) for name in (WITHOUT, WITH))
        rows.append((load, without, served, _ratio(found, load), _ratio(found, load, CONTROL)))
    columns = ("median", WITHOUT, WITH, "ratio of rates", "control")
    return Table("What it costs to send", columns, tuple(rows))


def _ratio(found: Found, load: str, path: str = WITH) -> float:
    """Return the path's rate over that without a sidecar."""
    without, other = (median(found[load, name]) for name in (WITHOUT, path))
    return without / other


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
        until(lambda: guest.reaches(ROUTER4), "the gateway")
        for space in (guest, made.gateway):
            stack.enter_context(_program(space, "sink"))
        senders = {}
        for load, (protocol, guest_sends) in LOADS.items():
            space, to = (guest, ROUTER4) if guest_sends else (made.gateway, layout.ipv4[0].ip)
            senders[load] = stack.enter_context(_program(space, protocol, str(to)))
        yield Path(made, guest, side, senders)


@contextmanager
def _program(space: Netns, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    command = (*_ONE_CPU, str(built("traffic")), *words)
    process = space.popen(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"traffic {words} does not start in {space.name}")
        yield process
    finally:
        end(process)
        process.stdin.close()
        process.stdout.close()


def _cost(path: Path, load: str) -> float:
    sender = path.senders[load]

    def once() -> float:
        sender.stdin.write(b"%d\n" % _SLICE_MS)
        sender.stdin.flush()
        return float(sender.stdout.readline())

    return min(once() for _ in range(_TRIES))


if __name__ == "__main__":
    alone(measure)
