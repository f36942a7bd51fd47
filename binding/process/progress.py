"""Whether a process that is to work gets anywhere, by the kernel's account (proc_pid_stat(5)).

An overloaded node makes a start slow: the process then waits for a CPU (state R) or a disk (state
D), or has used a little CPU since the look before. None of these is a reason to kill it.
"""

from __future__ import annotations

EVERY = 0.5
"""Seconds between two looks."""
_STOPPED_LOOKS = 3
_ASLEEP_LOOKS = 16
"""8 s: more than the 5 s in which a `serve` that was started ahead sleeps (early_ports.py)."""


class Progress:
    """Looks at one process, EVERY so often.

    Looks are counted, not seconds: where the whole pod was frozen meanwhile, nobody is to blame.
    """

    def __init__(self, pid: int, patience: float = 1.0) -> None:
        """`patience` multiplies the looks in which the process may sleep."""
        self._path = f"/proc/{pid}/stat"
        self._asleep_looks = _ASLEEP_LOOKS * patience
        self._stopped = self._asleep = 0
        self._cpu = -1

    def look(self) -> str:
        """Return why the process will not get any further by itself, else an empty text."""
        try:
            with open(self._path, "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:  # the process has ended, or the sidecar has no descriptor left
            return ""
        state, cpu = fields[0], int(fields[11]) + int(fields[12])
        self._stopped = self._stopped + 1 if state in b"Tt" else 0
        self._asleep = self._asleep + 1 if state == b"S" and cpu == self._cpu else 0
        self._cpu = cpu
        if self._stopped >= _STOPPED_LOOKS:
            return "it was stopped"
        if self._asleep >= self._asleep_looks:
            return f"it did nothing for {self._asleep * EVERY:.0f} s"
        return ""
