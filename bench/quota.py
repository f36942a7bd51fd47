"""A CPU quota and a memory limit for processes that start inside, as the kubelet sets them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


class NoQuotaError(Exception):
    """This machine lets us make no cgroup with a quota."""


@dataclass(frozen=True, slots=True)
class Group:
    """One cgroup; with version 1 a directory in each of three hierarchies."""

    version: int
    cpu: Path
    account: Path
    memory: Path

    @property
    def _all(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.cpu, self.account, self.memory)))

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be in it, so that children that start now begin and stay there."""
        me = str(os.getpid())
        before = [path.parent / _own(path, self.version) for path in self._all]
        try:
            for path in self._all:
                (path / "cgroup.procs").write_text(me)
            yield
        finally:
            for path in before:
                (path / "cgroup.procs").write_text(me)

    def cpu_seconds(self) -> float:
        """Return the CPU time of all that ever ran in it."""
        if self.version == 1:
            return int((self.account / "cpuacct.usage").read_text()) / 1e9
        return int(_field(self.cpu / "cpu.stat", "usage_usec")) / 1e6

    def peak_bytes(self) -> int:
        """Return the most memory it held, page cache included."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        return int((self.memory / name).read_text())

    def oom_kills(self) -> int:
        """Return how many of its processes the kernel has killed for their memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return int(_field(self.memory / name, "oom_kill"))


@contextmanager
def quota(millicores: int = 200, memory: int = 64_000_000) -> Iterator[Group]:
    """Make a group; NoQuotaError where that is impossible. Everything in it must have ended."""
    with ExitStack() as stack:
        try:
            group = _made(stack)
            _limit(group, millicores * _PERIOD_US // 1000, memory)
        except OSError as error:
            raise NoQuotaError(f"no cgroup with a CPU quota: {error}") from error
        yield group


def _made(stack: ExitStack) -> Group:
    name = f"dsbridge-bench-{os.getpid()}"
    paths = []
    version = 2 if (_ROOT / "cgroup.controllers").exists() else 1
    for controller in ("cpu", "cpuacct", "memory") if version == 1 else ("",):
        path = _ROOT / controller / name
        path.mkdir()
        stack.callback(_remove, path)
        paths.append(path)
    return Group(version, paths[0], *(paths[1:] if version == 1 else [paths[0]] * 2))


def _remove(path: Path) -> None:
    """Remove a group whose last processes may still be on their way out."""
    for _ in range(100):
        try:
            path.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
    path.rmdir()


def _limit(group: Group, quota_us: int, memory: int) -> None:
    if group.version == 1:
        (group.cpu / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
        (group.cpu / "cpu.cfs_quota_us").write_text(str(quota_us))
        (group.memory / "memory.limit_in_bytes").write_text(str(memory))
    else:
        (group.cpu / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
        (group.memory / "memory.max").write_text(str(memory))


def _own(path: Path, version: int) -> str:
    """Return where this process is in the hierarchy of a path, relative to its root."""
    controller = path.parent.name if version == 1 else ""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, place = line.split(":", 2)
        if names.split(",") == [controller]:
            return place.lstrip("/")
    return ""


def _field(path: Path, name: str) -> str:
    lines = (line.split() for line in path.read_text().splitlines())
    return next(words[1] for words in lines if words[0] == name)
