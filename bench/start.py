"""How long a VM's start waits for the sidecar, with the CPU and memory limits of its container."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.beds import VMI, domain
from bench.quota import Group, NoQuotaError, quota
from bench.report import ROOT, Budget, Section, Table, alone
from tests.bed.launcher import collect
from tests.bed.pod import Pod, pod
from tests.bed.sidecar import Sidecar, sidecar
from tests.bed.wait import until

MILLICORES, MEMORY = 200, 64_000_000
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a gRPC client sends at once (RFC 9113, section 3.4)."""
_POLL = 0.005


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds, seconds of CPU, bytes."""

    info: float
    info_cpu: float
    first: float
    """The first OnDefineDomain."""
    passes: float
    """All three."""
    settings: float
    """From a connection to the SETTINGS of a new `hooks`, after the former one has left."""
    cpu: float
    """Of everything until the domain is defined."""
    peak: int
    killed: int


def measure(repeats: int = 5) -> Section:
    try:
        found = {
            (shape, cache): [_once(shape, cold=cache == "cold") for _ in range(repeats)]
            for shape in ("managed", "own")
            for cache in ("cold", "warm")
        }
    except NoQuotaError as error:
        return Section("Start", f"Not measured: {error}.", ())
    rows = [
        (
            f"{shape}, {cache} cache",
            *(median(getattr(one, name) for one in starts) for name in ("info", "info_cpu")),
            *(median(getattr(one, name) for one in starts) for name in ("first", "passes")),
            *(median(getattr(one, name) for one in starts) for name in ("settings", "cpu")),
            max(one.peak for one in starts) / 1e6,
            sum(one.killed for one in starts),
        )
        for (shape, cache), starts in found.items()
    ]
    columns = (
        "median",
        "Info, s",
        "CPU until then, s",
        "first OnDefineDomain, s",
        "all three, s",
        "SETTINGS of the next hooks, s",
        "CPU of all, s",
        "most memory, MB",
        "killed",
    )
    cold = [one for (_, cache), starts in found.items() for one in starts if cache == "cold"]
    managed, own = (
        median(one.first for one in found[shape, "warm"]) for shape in ("managed", "own")
    )
    how = (
        f"A cgroup with {MILLICORES}m CPU and {MEMORY} bytes, page cache included; bytecode "
        f"written. Cold: the interpreter's and the packages' files are dropped from the page cache "
        f"before. {repeats} starts each."
    )
    budgets = (
        Budget("hook socket answers Info, cold", median(one.info for one in cold), 1.3, "s"),
        Budget("SETTINGS, cold", median(one.settings for one in cold), 1.3, "s"),
        Budget("CPU until Info, cold", median(one.info_cpu for one in cold), 0.3, "s"),
        Budget("OnDefineDomain, managed", managed, 0.7, "s"),
        Budget("OnDefineDomain, own", own, 1.0, "s"),
        Budget("killed for memory", sum(row[-1] for row in rows), 0, ""),
    )
    title = "From exec to Info, and OnDefineDomain after it"
    return Section("Start", how, (Table(title, columns, tuple(rows)),), budgets)


def _once(shape: str, *, cold: bool) -> Start:
    with pod("flat") as made, quota(MILLICORES, MEMORY) as group:
        if cold:
            _drop()
        return _start(made, group, shape, cold=cold)


def _start(made: Pod, group: Group, shape: str, *, cold: bool) -> Start:
    with group.inside():
        begun = time.monotonic()
        context = sidecar(made, DSBRIDGE_HOOKS_LINGER="1")
        side = context.__enter__()
    try:
        while not any(side.hooks_dir.glob("*.sock")):
            if side.process.poll() is not None:
                raise RuntimeError(f"the sidecar has ended: {side.log}")
            time.sleep(_POLL)
        with collect(side.hooks_dir) as hook:
            info, info_cpu = time.monotonic() - begun, group.cpu_seconds()
            text = domain(made, shape)
            time.sleep(1.0)  # virt-handler's phase 1 and virt-launcher's own start take longer
            called = time.monotonic()
            hook.on_define_domain(text, VMI)
            first = time.monotonic() - called
            called = time.monotonic()
            hook.on_define_domain(text, VMI)
            hook.on_define_domain(text, VMI)
            again, cpu = time.monotonic() - called, group.cpu_seconds()
        settings = _settings(side, hook.socket, cold=cold)
        return Start(
            info,
            info_cpu,
            first,
            first + again,
            settings,
            cpu,
            group.peak_bytes(),
            group.oom_kills(),
        )
    finally:
        context.__exit__(None, None, None)


def _settings(side: Sidecar, path: Path, *, cold: bool) -> float:
    """Return seconds from a connection to the first octets of the SETTINGS frame."""
    until(lambda: _pids(side)["hooks"] is None, "hooks has left", 60)
    if cold:
        _drop()
    with socket.socket(socket.AF_UNIX) as caller:
        called = time.monotonic()
        caller.connect(str(path))
        caller.sendall(PREFACE)
        assert caller.recv(9)[3] == PREFACE[-6]
        return time.monotonic() - called


def _pids(side: Sidecar) -> dict[str, int | None]:
    return {one["name"]: one["pid"] for one in side.status()["processes"]}


_OURS = ("binding", "dhcp", "ra", "proto")


def _drop() -> None:
    """Take our files out of the page cache; what another process has mapped stays."""
    for tree in (ROOT / ".venv", Path(sys.base_prefix) / "lib", *map(ROOT.joinpath, _OURS)):
        for path in tree.rglob("*"):
            if path.suffix in (".pyc", ".py", ".so") or ".so." in path.name:
                with suppress(OSError):
                    descriptor = os.open(path, os.O_RDONLY)
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(descriptor)


if __name__ == "__main__":
    alone(measure)
