"""Makes the kernel's out-of-memory killer choose any of our processes before the sidecar."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_PR_SET_DUMPABLE = 4
_FIRST = "1000"


def choose_me() -> None:
    """Offer this process to the out-of-memory killer before all others of the container.

    The files in /proc of a process with file capabilities belong to root until it is dumpable.
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    # /proc may be read-only; then the kernel's own choice stands.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(_FIRST)
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
