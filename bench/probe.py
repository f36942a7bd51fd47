"""The prober beside a pod: the guest's end of a tap, held open while answers are timed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from guest.network import OUR_LINK_LOCAL
from tests.bed.netns import Netns, end
from tests.bed.pod import Pod
from tests.bed.wait import until

CACHE = Path(__file__).parents[1] / ".cache" / "bench"
TIMEOUT_MS = 5000


@dataclass(frozen=True, slots=True)
class Prober:
    """A running prober; all its times are returned as microseconds."""

    process: subprocess.Popen[bytes]

    def ask(self, kind: str, count: int = 1, gap: float = 0.0, way: str = "same") -> list[float]:
        """Ask one after the other, `gap` seconds between; RuntimeError when one is unanswered.

        `way` is same, alike or new: see prober.c.
        """
        words = self._command(f"{kind} {way} {count} {int(gap * 1e6)} {TIMEOUT_MS}")
        times = [int(word) / 1e3 for word in words]
        if len(times) != count or min(times) < 0:
            raise RuntimeError(f"{kind}: {sum(t < 0 for t in times)} of {count} unanswered")
        return times

    def flood(self, seconds: float, *, costly: bool = False) -> tuple[int, float]:
        """Send what a hostile guest would; frames sent, seconds to the next honest answer.

        Costly are well-formed DISCOVERs and SOLICITs of 1,200 octets, each a new client's.
        """
        sent, nanoseconds = self._command(f"flood {seconds} {OUR_LINK_LOCAL} {int(costly)}")
        if int(nanoseconds) < 0:
            raise RuntimeError("nobody answers after the flood")
        return int(sent), int(nanoseconds) / 1e9

    def _command(self, line: str) -> list[str]:
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().split()


@contextmanager
def prober(pod: Pod, tap: str = "tap0", *, cpu: int | None = None) -> Iterator[Prober]:
    """Plug a prober into a tap of the pod; it has the pod's MAC, as the guest has."""
    with plugged(pod.netns, pod.layout.mac, tap, cpu=cpu) as running:
        yield running


@contextmanager
def plugged(
    space: Netns, mac: str, tap: str = "tap0", *, cpu: int | None = None
) -> Iterator[Prober]:
    """Plug a prober with this MAC into a tap of a namespace."""
    pinned = () if cpu is None else ("taskset", "-c", str(cpu))
    process = space.popen(
        *(*pinned, str(built("prober")), tap, mac),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if process.stdout.readline() != b"plugged\n":
            raise RuntimeError(f"{tap} in {space.name} takes no prober")
        until(lambda: _is_up(space, tap), f"carrier of {tap}")
        yield Prober(process)
    finally:
        end(process)
        process.stdin.close()
        process.stdout.close()


def _is_up(space: Netns, tap: str) -> bool:
    return space.query("link", "show", "dev", tap)[0]["operstate"] == "UP"


def built(name: str) -> Path:
    """Return the program of a C file beside this one, compiled if that is newer."""
    program, source = CACHE / name, Path(__file__).with_name(f"{name}.c")
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    return program
