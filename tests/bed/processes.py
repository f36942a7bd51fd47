"""What a process and its children cost, by the kernel's own account."""

from __future__ import annotations

import os
import re
import resource
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@contextmanager
def without_descriptors() -> Iterator[None]:
    """Let this process open nothing: every call that makes a descriptor fails by EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for parent in found:
        with suppress(FileNotFoundError):
            for task in threads(parent):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def threads(pid: int) -> list[Path]:
    """Return the /proc directory of each of its threads; none when it has ended."""
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return []


def memory(pids: Iterable[int], kind: str = "Anonymous") -> int:
    """Return bytes over all of them: `Anonymous`, `Pss` or `Rss` of smaps_rollup."""
    texts = (_read(f"/proc/{pid}/smaps_rollup") for pid in pids)
    return sum(
        1024 * int(found[1]) for text in texts if (found := re.search(rf"{kind}: *(\d+)", text))
    )


def wakeups(pids: Iterable[int]) -> Counter[int]:
    """Return how often each of their threads was woken; `(later - earlier).total()` compares."""
    found = re.compile(r"\nvoluntary_ctxt_switches:\s*(\d+)")
    tasks = (task for pid in pids for task in threads(pid))
    texts = ((int(task.name), _read(f"{task}/status")) for task in tasks)
    return Counter(
        {thread: int(woken[1]) for thread, text in texts if (woken := found.search(text))}
    )


def running(pids: Iterable[int]) -> Counter[int]:
    """Return nanoseconds of CPU of each process, with its ended threads, not its children.

    Compare as `(later - earlier).total()`.
    """
    found: Counter[int] = Counter()
    for pid in pids:
        with suppress(OSError):  # it has ended
            # The kernel's number of a process's CPU clock, as clock_getcpuclockid(3) makes it.
            found[pid] = time.clock_gettime_ns(~pid << 3 | 2)
    return found


def cpu_seconds(pid: int) -> float:
    """Return CPU time of a process, its living children and those that ended."""
    total = 0
    for one in family(pid):
        fields = _read(f"/proc/{one}/stat").rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15])  # user, system, and of ended children
    return total / _TICK


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
