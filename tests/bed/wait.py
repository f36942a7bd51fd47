"""Wait for conditions, never for time to pass; a limit is one of a machine that is not busy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def crowd() -> float:
    """Return how many threads want each processor just now; 1 on a quiet machine."""
    runnable = Path("/proc/loadavg").read_text().split()[3].partition("/")[0]
    return max(1.0, int(runnable) / (os.cpu_count() or 1))


class Limit:
    """Seconds that pass more slowly, the more threads want each processor.

    A program that needs a second of an idle machine needs six where five others compute.
    """

    def __init__(self, seconds: float) -> None:
        self._left, self._then = seconds, time.monotonic()

    def over(self) -> bool:
        """Say whether the time is up; to be asked often, as each answer weighs the time since."""
        now = time.monotonic()
        self._left -= (now - self._then) / crowd()
        self._then = now
        return self._left < 0


def until(probe: Callable[[], T], what: str, timeout: float = 20) -> T:
    """Return the first true value of probe(); TimeoutError names `what` after a Limit."""
    limit, start = Limit(timeout), time.monotonic()
    while True:
        value = probe()
        if value:
            return value
        if limit.over():
            waited = time.monotonic() - start
            raise TimeoutError(f"{what}: not within {timeout:g} s (on the clock: {waited:.0f} s)")
        time.sleep(0.02)
