"""Who holds which capability and which descriptor: /proc, compared with docs/security.md."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from tests.bed.clients import client
from tests.bed.guests import Started, started, started_in
from tests.bed.pod import pod
from tests.bed.processes import family
from tests.bed.wait import until

pytestmark = pytest.mark.netns
DOC = Path(__file__).parents[2] / "docs/security.md"
CODE = str(Path(__file__).parents[2])
"""Opened for a moment, as what else is imported."""
BITS = {"NET_ADMIN": 1 << 12, "NET_RAW": 1 << 13}
IOCTL = "ioctl socket"
"""Held for a moment, to ask for a link's number or MTU: /proc lists none that is not bound."""
AS_A_RUNTIME = (
    *("setpriv", "--bounding-set=-all,+net_admin,+net_raw", "--inh-caps=-all"),
    "--no-new-privs",
)
"""What containerd and CRI-O do for a container that is granted the two."""


@dataclass(frozen=True, slots=True)
class Held:
    """By one program at one time."""

    permitted: int
    effective: int
    bounding: int
    no_new_privs: bool
    opened: frozenset[str]


def told() -> dict[str, Held]:
    """Return the table of docs/security.md by program."""
    section = DOC.read_text().partition("## What each program holds")[2].partition("\n## ")[0]
    found = {}
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| program"):
            name, *sets, quiet, opened = (cell.strip() for cell in line.strip("|").split("|"))
            numbers = (sum(BITS.get(word, 0) for word in one.split()) for one in sets)
            found[name] = Held(*numbers, quiet == "yes", frozenset(opened.split(", ")))
    return found


def held(pid: int) -> tuple[str, Held]:
    """Return a program's name and what it holds now. OSError when it has ended."""
    proc = Path(f"/proc/{pid}")
    words = (proc / "cmdline").read_bytes().decode().split("\0")
    name = words[words.index("-m") + 1].removeprefix("binding").strip(".") or "sidecar"
    lines = (proc / "status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    sets = (int(fields[one], 16) for one in ("CapPrm", "CapEff", "CapBnd"))
    assert {fields["CapInh"], fields["CapAmb"]} == {"0" * 16}
    sockets = dict(_sockets(proc))
    targets = [str(one.readlink()) for one in (proc / "fd").iterdir() if one.is_symlink()]
    imported = tuple(map(str, (sys.base_prefix, sys.prefix, CODE, "/usr/lib", "/proc", "/sys")))
    # A connection is listed in the network namespace of who has connected: the test's own.
    unlisted = "unix stream" if name == "hooks" else IOCTL
    opened = frozenset(
        _kind(one, sockets, unlisted) for one in targets if not one.startswith(imported)
    )
    return name, Held(*sets, fields["NoNewPrivs"] == "1", opened)


def _sockets(proc: Path) -> Iterator[tuple[str, str]]:
    for line in (proc / "net/unix").read_text().splitlines()[1:]:
        _, _, _, flags, kind, _, inode, *path = line.split()
        name = path[0] if path else ""
        if flags == "00010000":
            of = {"status.sock": "status socket", "control.sock": "request socket"}
            yield inode, of.get(name.rpartition("/")[2], "hook socket")
        elif name.startswith("@"):
            yield inode, "name of the tap"
        else:
            yield inode, "control socket" if kind == "0005" else "unix stream"
    for line in (proc / "net/netlink").read_text().splitlines()[1:]:
        _, protocol, *_, inode = line.split()
        yield inode, {"0": "rtnetlink", "12": "nf_tables"}.get(protocol, f"netlink {protocol}")
    for line in (proc / "net/packet").read_text().splitlines()[1:]:
        yield line.split()[-1], "packet socket"


def _kind(target: str, sockets: dict[str, str], unlisted: str) -> str:
    if found := re.fullmatch(r"socket:\[(\d+)\]", target):
        return sockets.get(found[1], unlisted)
    named = {
        "/dev/null": "null",
        "anon_inode:[eventpoll]": "epoll",
        "anon_inode:[eventfd]": "eventfd",
    }
    if target.startswith("/memfd:"):
        return "memory file"
    if target.endswith(".log"):
        return "log"
    return "state directory" if target.endswith("/state") else named.get(target, target)


class _Watch(threading.Thread):
    """Looks at every program of a sidecar, again and again."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.seen: dict[str, list[Held]] = {}
        self.ended = threading.Event()
        self._pid = pid

    def run(self) -> None:
        while not self.ended.is_set():
            for pid in family(self._pid):
                with suppress(OSError, ValueError, KeyError, AssertionError):  # just ended
                    name, now = held(pid)
                    if now not in self.seen.setdefault(name, []):
                        self.seen[name].append(now)
            time.sleep(0.002)


@contextmanager
def watched(vm: Started) -> Iterator[dict[str, list[Held]]]:
    watch = _Watch(vm.sidecar.process.pid)
    watch.start()
    try:
        yield watch.seen
    finally:
        watch.ended.set()
        watch.join()


def latest(vm: Started) -> dict[str, Held]:
    """Return what each program holds; plumb comes and goes, and is watched."""
    found = {}
    for pid in family(vm.sidecar.process.pid):
        with suppress(OSError, ValueError, KeyError):  # it has just ended
            name, now = held(pid)
            found[name] = now
    found.pop("plumb", None)
    return found


def is_alone(vm: Started) -> bool:
    return set(latest(vm)) == {"sidecar"}


def test_each_program_holds_what_the_document_says() -> None:
    table, opened = told(), dict[str, frozenset[str]]()

    def check(now: dict[str, Held]) -> None:
        for name, one in now.items():
            said = table[name]
            assert (one.permitted, one.effective) == (said.permitted, said.effective), name
            assert (one.bounding, one.no_new_privs) == (said.bounding, said.no_new_privs), name
            assert one.opened - {IOCTL} <= said.opened, (name, one.opened - said.opened)
            opened[name] = opened.get(name, frozenset()) | one.opened

    with (
        pod("flat") as made,
        started_in(made, "own", prefix=AS_A_RUNTIME, DSBRIDGE_HOOKS_LINGER="2") as vm,
        client("networkd", vm.guest, made.workdir) as guest,
    ):
        guest.lease(30)
        with watched(vm) as seen, vm.hook.dial() as channel:
            grpc.channel_ready_future(channel).result(30)  # hooks stays for it
            made.netns.run("nft", "flush", "ruleset")
            made.netns.ip("link set k6t-eth0 down")
            assert vm.hook.define(vm.domain, vm.vmi)
            until(lambda: any(one.effective for one in seen.get("plumb", ())), "plumb mends")
            guest.renew()
            until(lambda: "serve" in latest(vm) and not latest(vm)["serve"].permitted, "serve")
            check(latest(vm))
        for name in ("plumb", "hooks"):
            for one in seen[name]:  # from its first instruction on
                assert one.permitted | one.effective <= BITS["NET_ADMIN"] | BITS["NET_RAW"]
                assert one.opened - {IOCTL} <= table[name].opened, (name, one.opened)
                opened[name] = opened.get(name, frozenset()) | one.opened
        at_work = [one for one in seen["plumb"] if one.effective]
        assert {one.permitted for one in at_work} >= {BITS["NET_ADMIN"]}
        until(lambda: is_alone(vm), "rest", 60)
        check(latest(vm))
    for name, one in table.items():
        assert one.opened <= opened[name], (name, one.opened - opened[name], "is held by none")


def test_the_kernel_that_is_out_of_memory_chooses_any_process_but_the_sidecar() -> None:
    with started("flat", "managed") as vm:
        pids = {one["name"]: one["pid"] for one in vm.sidecar.status()["processes"]}
        scores = {
            name: int(Path(f"/proc/{pid}/oom_score_adj").read_text())
            for name, pid in pids.items()
            if pid
        }
        assert scores["serve"] == 1000
        assert scores.get("hooks", 1000) == 1000
        assert scores["sidecar"] < 1000
