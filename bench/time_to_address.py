"""How long a guest waits for its network: link up, to addresses, default routes and DNS usable."""

from __future__ import annotations

import math
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

from bench.beds import BEDS, Bed
from bench.report import Budget, Section, Table, alone
from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.clients.running import Client
from tests.bed.netns import Netns, end
from tests.bed.pod import NAMESERVERS
from tests.bed.vm import Nic, vm

PEERS = ("dsbridge", "dnsmasq", "Kea + radvd")
MILESTONES = ("IPv4 address", "IPv4 route", "IPv6 address", "IPv6 route", "DNS", "all")
_DNS_POLL = 0.05

Times = dict[str, float]
"""Seconds after link up, by milestone."""


def measure(repeats: int = 7, boots: int = 5) -> Section:
    """Start a fresh pod, server and guest each time, servers in turns."""
    guests: dict[str, tuple[int, Callable[[Bed], Times]]] = {
        "networkd": (repeats, lambda bed: _client(bed, "networkd")),
        "networkmanager": (repeats, lambda bed: _client(bed, "networkmanager")),
        "VM": (boots, _vm),
    }
    found: dict[tuple[str, str], list[Times]] = {}
    for name, (count, run) in guests.items():
        for _ in range(count):
            for peer in PEERS:
                with BEDS[peer]() as bed:
                    found.setdefault((name, peer), []).append(run(bed))
    rows, budgets = [], []
    for name in guests:
        best = min(_median(found[name, peer], "all") for peer in PEERS[1:])
        for peer in PEERS:
            times = [_median(found[name, peer], one) for one in MILESTONES]
            slowest = max(one["all"] for one in found[name, peer])
            rows.append((f"{name}, {peer}", *times, slowest))
        ours = _median(found[name, PEERS[0]], "all")
        budgets.append(Budget(f"{name}, beside the better peer", ours / best, 1.0, "x"))
    how = (
        f"systemd-networkd and NetworkManager in a namespace on the tap, {repeats} times; a VM "
        f"with udhcpc and dhclient, {boots} boots. Median seconds after the guest's link came up. "
        "An IPv6 address counts when duplicate address detection is done; DNS is what the client "
        f"keeps for the resolver, both servers, looked at every {_DNS_POLL} s. Most of all this is "
        "the clients' own random delays."
    )
    columns = ("s", *MILESTONES, "all, slowest")
    title = "From link up"
    return Section("Time to address", how, (Table(title, columns, tuple(rows)),), tuple(budgets))


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
