"""A steady flow of echo requests, and how long nothing came back."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bed.netns import Netns, end
from tests.bed.wait import until

INTERVAL = 0.05
"""Seconds between two requests."""


@dataclass(frozen=True, slots=True)
class Echoes:
    """A running ping."""

    address: object
    output: Path
    process: subprocess.Popen[bytes]
    interval: float = INTERVAL

    def answered(self) -> list[int]:
        """Return the numbers of the requests that were answered so far, as they came."""
        text = self.output.read_text()
        return [int(number) for number in re.findall(r"seq=(\d+) ttl", text)]

    def goes_on(self, count: int = 10, timeout: float = 10) -> None:
        """Wait for so many more answers."""
        before = len(self.answered())
        until(
            lambda: len(self.answered()) >= before + count,
            f"{count} more answers of {self.address}",
            timeout,
        )

    def lost(self, since: int = 0) -> float:
        """Return the seconds of requests without answer, from number `since` to the last with."""
        answered = {one for one in self.answered() if one >= since}
        return (max(answered) + 1 - since - len(answered)) * self.interval

    def stall(self) -> float:
        """Return the longest time in which no request was answered, in seconds."""
        answered = sorted(set(self.answered()))
        gaps = (after - before - 1 for before, after in itertools.pairwise(answered))
        return max(gaps, default=0) * self.interval


@contextmanager
def echoes(
    space: Netns, address: object, workdir: Path, *, interval: float = INTERVAL
) -> Iterator[Echoes]:
    """Ping until the end of the block; the first answer has come when it begins."""
    output = workdir / f"echoes-{address}".replace(":", "-")
    with output.open("wb") as out:
        process = space.popen(
            # Not iputils' ping: its MSG_CONFIRM keeps the kernel from ever doubting its router.
            *("busybox", "ping", "-i", str(interval), str(address)),
            stdout=out,
        )
    try:
        flow = Echoes(address, output, process, interval)
        until(flow.answered, f"an answer of {address}")
        yield flow
    finally:
        process.send_signal(signal.SIGINT)
        end(process)
