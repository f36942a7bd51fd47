"""How long a guest waits for its network: link up, to addresses, default routes and DNS usable."""

from __future__ import annotations

import math
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import mean, median

from bench.beds import BEDS, Bed
from bench.report import Budget, Section, Table, alone, percentile
from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.clients.running import Client
from tests.bed.netns import Netns, end
from tests.bed.pod import NAMESERVERS
from tests.bed.vm import Nic, vm

PEERS = ("dsbridge", "dnsmasq", "Kea + radvd")
CLIENTS, VM = ("networkd", "networkmanager"), "VM"
MILESTONES = ("IPv4 address", "IPv4 route", "IPv6 address", "IPv6 route", "DNS", "all")
_DNS_POLL = 0.1
_AT_ONCE = 4
"""Guests of each server at a time: they mostly wait, each in namespaces of its own."""
_DRAWS = 2000

Times = dict[str, float]
"""Seconds after link up, by milestone."""


def measure(rounds: int = 8, boots: int = 8) -> Section:
    """Start fresh pods, servers and guests each time, those of all servers together."""
    found: dict[tuple[str, str], list[Times]] = {}
    for name in CLIENTS:
        for _ in range(rounds):
            _round(name, found)
    for _ in range(boots):
        for peer in PEERS:
            with BEDS[peer]() as bed:
                found.setdefault((VM, peer), []).append(_vm(bed))
    rows, ratios, budgets = [], [], []
    for name in (*CLIENTS, VM):
        for peer in PEERS:
            times = [_median(found[name, peer], one) for one in MILESTONES]
            slowest = max(one["all"] for one in found[name, peer])
            rows.append((f"{name}, {peer}", *times, slowest))
        best = min(PEERS[1:], key=lambda peer: mean(_all(found[name, peer])))
        ours, theirs = _all(found[name, PEERS[0]]), _all(found[name, best])
        ratio, (low, high) = mean(ours) / mean(theirs), _interval(ours, theirs)
        ratios.append((f"{name}, beside {best}", ratio, low, high))
        budgets.append(Budget(f"{name}, beside the better peer", ratio, 1.0, "x"))
    how = (
        "systemd-networkd and NetworkManager in a namespace on the tap, "
        f"{rounds * _AT_ONCE} times; a VM with udhcpc and dhclient, {boots} boots. Median seconds "
        "after the guest's link came up. An IPv6 address counts when duplicate address detection "
        "is done; DNS is what the client keeps for the resolver, both servers, looked at every "
        f"{_DNS_POLL} s. Most of all this is the clients' own random delays: what a ratio of means "
        "may be but for those is the interval that 95 % of redrawn samples fall into."
    )
    columns = ("s", *MILESTONES, "all, slowest")
    beside = ("all, mean", "ratio", "from", "to")
    tables = (Table("From link up", columns, tuple(rows)), Table("Ratios", beside, tuple(ratios)))
    return Section("Time to address", how, tables, tuple(budgets))


def _round(name: str, found: dict[tuple[str, str], list[Times]]) -> None:
    """Let guests of every server start together, and wait for all of them."""
    with ExitStack() as stack, ThreadPoolExecutor(len(PEERS) * _AT_ONCE) as pool:
        beds = [
            (peer, stack.enter_context(BEDS[peer]())) for _ in range(_AT_ONCE) for peer in PEERS
        ]
        running = [(peer, pool.submit(_client, bed, name)) for peer, bed in beds]
        for peer, times in running:
            found.setdefault((name, peer), []).append(times.result())


def _all(times: list[Times]) -> list[float]:
    return [one["all"] for one in times]


def _interval(ours: list[float], theirs: list[float]) -> tuple[float, float]:
    """Return the bootstrap interval of the ratio of means."""
    chance = Random(0)

    def drawn() -> float:
        one, other = (chance.choices(times, k=len(times)) for times in (ours, theirs))
        return mean(one) / mean(other)

    draws = [drawn() for _ in range(_DRAWS)]
    return percentile(draws, 0.025), percentile(draws, 0.975)


def _median(times: list[Times], milestone: str) -> float:
    return median(one.get(milestone, math.nan) for one in times)


def _client(bed: Bed, name: str) -> Times:
    layout = bed.pod.layout
    with (
        cable(bed.pod.netns, mac=layout.mac, mtu=layout.mtu) as guest,
        tempfile.TemporaryDirectory() as text,
    ):
        workdir = Path(text)
        with _monitor(guest, workdir) as log, client(name, guest, workdir) as running:
            dns = _dns(running)
            running.lease(30, dns=NAMESERVERS)
            end(log)
        return _milestones((workdir / "monitor").read_text(), dns)


@contextmanager
def _monitor(guest: Netns, workdir: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (workdir / "monitor").open("wb") as out:
        words = ("ip", "-tshort", "-oneline", "monitor", "link", "address", "route")
        process = guest.popen("stdbuf", "-oL", *words, stdout=out)
    try:
        yield process
    finally:
        end(process)


def _dns(running: Client) -> float:
    """Return the wall clock time when the client had both servers; infinity after 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if set(NAMESERVERS) <= set(running.program.told().dns):
            return time.time()
        time.sleep(_DNS_POLL)
    return math.inf


_EVENTS = {
    "IPv4 address": re.compile(r" eth0 +inet .* scope global"),
    "IPv4 route": re.compile(r"\] default via [\d.]+ dev eth0"),
    "IPv6 address": re.compile(r" eth0 +inet6 (?!.*tentative).* scope global"),
    "IPv6 route": re.compile(r"\] default via fe80\S+ dev eth0"),
}
_UP = re.compile(r" eth0: <[^>]*\bLOWER_UP\b")


def _milestones(log: str, dns: float) -> Times:
    seen: Times = {}
    up = math.nan
    for line in log.splitlines():
        stamp = re.match(r"\[([\dT:.-]+)\]", line)
        if not stamp or "Deleted" in line:
            continue
        at = datetime.fromisoformat(stamp[1]).timestamp()
        if math.isnan(up) and _UP.search(line):
            up = at
        for milestone, pattern in _EVENTS.items():
            if milestone not in seen and pattern.search(line):
                seen[milestone] = at
    seen["DNS"] = dns
    missing = [one for one in (*_EVENTS, "DNS") if one not in seen]
    if missing or math.isnan(up):
        raise RuntimeError(f"not seen: {missing or 'link up'}\n{log}")
    return {name: at - up for name, at in seen.items()} | {"all": max(seen.values()) - up}


def _vm(bed: Bed) -> Times:
    layout = bed.pod.layout
    with vm(bed.pod, Nic(layout.mac, "tap0", layout.mtu)) as running:
        running.report()
        console = running.console.read_text(errors="replace")
    said = {
        key: float(text) for key, text in re.findall(r"@(linkup|at4|at6|settled) ([\d.]+)", console)
    }
    up = said["linkup"]
    times = {"IPv4 address": said["at4"] - up, "all": said["settled"] - up}
    return times | ({"IPv6 address": said["at6"] - up} if "at6" in said else {})


if __name__ == "__main__":
    alone(measure)
