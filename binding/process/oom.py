"""In which order the kernel's out-of-memory killer chooses our processes.

First an operator's command, which costs nothing but itself; then `plumb`, `serve` and `hooks`,
which are started again; the sidecar last, whatever value the kubelet has given the container.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_PR_SET_DUMPABLE = 4
_MOST = 1000
COMMAND, CHILD = _MOST, 500
"""Values of oom_score_adj: thousandths of the container's limit, added to what a process uses."""


def choose_me(before: int) -> None:
    """Have the out-of-memory killer choose this process before those of a smaller value.

    And before the process that started it: a burstable pod's container begins with up to 999.

    The files in /proc of a process with file capabilities belong to root until it is dumpable.
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    # /proc may be read-only; then the kernel's own choice stands.
    with suppress(OSError), open("/proc/self/oom_score_adj", "r+") as file:
        inherited = int(file.read())
        file.write(str(max(before, min(inherited + 1, _MOST))))
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
