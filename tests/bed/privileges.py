"""Who holds which capability and which descriptor: /proc, and what docs/security.md says of it."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bed.processes import family

DOC = Path(__file__).parents[2] / "docs/security.md"
_CODE = str(Path(__file__).parents[2])
_READ = (sys.base_prefix, sys.prefix, _CODE, "/app", "/usr/lib", "/etc", "/proc", "/sys")
"""Where files are opened for a moment: modules here and in the image, localtime, resolv.conf."""
BITS = {"NET_ADMIN": 1 << 12, "NET_RAW": 1 << 13}
IOCTL = "ioctl socket"
"""Held to ask for a link's number or MTU: /proc lists no socket that is not bound."""
TUN = "/dev/net/tun"
STATE = "state file"
FOR_A_MOMENT = defaultdict(
    lambda: {IOCTL}, plumb={IOCTL, TUN}, sidecar={IOCTL, "memory file", STATE}
)
"""What a program opens for so short a time that a test may not see it."""


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
    """Return a program's name and what it holds now.

    Raises OSError when it has ended, ValueError when it is none of ours.
    """
    proc = Path(f"/proc/{pid}")
    words = (proc / "cmdline").read_bytes().decode().split("\0")
    if "python" not in words[0]:
        raise ValueError(f"{words[0]} will run it")
    name = words[words.index("-m") + 1].removeprefix("binding").strip(".") or "sidecar"
    lines = (proc / "status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    sets = (int(fields[one], 16) for one in ("CapPrm", "CapEff", "CapBnd"))
    assert {fields["CapInh"], fields["CapAmb"]} == {"0" * 16}
    sockets = dict(_sockets(proc))
    targets = [_target(one) for one in (proc / "fd").iterdir() if one.is_symlink()]
    # A connection is listed in the network namespace of who has connected: the test's own.
    unlisted = "unix stream" if name == "hooks" else IOCTL
    opened = frozenset(
        _kind(one, sockets, unlisted) for one in targets if not one.startswith(_READ)
    )
    return name, Held(*sets, fields["NoNewPrivs"] == "1", opened)


def _target(descriptor: Path) -> str:
    """Return what is open. runc has pipes in the place of the kubelet's null and log."""
    target = str(descriptor.readlink())
    if target.startswith("pipe:"):
        return {"0": "/dev/null", "1": ".log", "2": ".log"}.get(descriptor.name, target)
    return target


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
    if target.endswith("/state"):
        return "state directory"
    if re.search(r"/state/\w+\.json(\.new)?$", target):
        return STATE
    if target.startswith("/memfd:"):
        return "memory file"
    if target.endswith(".log"):
        return "log"
    return named.get(target, target)


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
def watched(pid: int) -> Iterator[dict[str, list[Held]]]:
    """Yield what each program of the sidecar with this pid has held since; it goes on growing."""
    watch = _Watch(pid)
    watch.start()
    try:
        yield watch.seen
    finally:
        watch.ended.set()
        watch.join()


def latest(pid: int) -> dict[str, Held]:
    """Return what each program holds; plumb comes and goes, and is watched."""
    found = {}
    for one in family(pid):
        with suppress(OSError, ValueError, KeyError):  # it has just ended
            name, now = held(one)
            found[name] = now
    found.pop("plumb", None)
    return found


class Comparison:
    """The document beside what is seen over a sidecar's life."""

    def __init__(self) -> None:
        self.told = told()
        self._opened: dict[str, frozenset[str]] = {}

    def check(self, now: dict[str, Held]) -> None:
        """Demand of programs that have started what the document says of each."""
        for name, one in now.items():
            said = self.told[name]
            assert (one.permitted, one.effective) == (said.permitted, said.effective), name
            assert (one.bounding, one.no_new_privs) == (said.bounding, said.no_new_privs), name
            self._note(name, one)

    def check_moments(self, seen: dict[str, list[Held]]) -> None:
        """Demand of each program, from its first instruction on, no more than is granted to us."""
        for name, moments in seen.items():
            for one in moments:
                assert one.permitted | one.effective <= BITS["NET_ADMIN"] | BITS["NET_RAW"]
                self._note(name, one)

    def check_complete(self) -> None:
        """Demand that the document names no descriptor that no program has held."""
        for name, one in self.told.items():
            held_by_none = one.opened - self._opened[name]
            assert not held_by_none, (name, held_by_none)

    def _note(self, name: str, one: Held) -> None:
        more = one.opened - self.told[name].opened - FOR_A_MOMENT[name]
        assert not more, (name, more)
        self._opened[name] = self._opened.get(name, frozenset()) | one.opened
