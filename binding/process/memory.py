"""Memory of a process, the limit of the container, and freed memory back to the kernel."""

from __future__ import annotations

import ctypes
import gc

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_TIGHT = 80_000_000
"""Bytes in which all programs have room at once."""


def give_back() -> None:
    """Give freed memory back to the kernel: handling messages leaves 0.5 MiB behind."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl not
    if trim is not None:
        trim(0)


def is_tight() -> bool:
    """Say whether the container's limit is near KubeVirt's 64,000,000 bytes of a sidecar."""
    for path in _LIMITS:
        try:
            with open(path) as file:
                text = file.read().strip()
        except OSError:
            continue
        return text.isdecimal() and int(text) < _TIGHT
    return False


def anonymous(pid: int) -> int:
    """Return the anonymous bytes of a process; 0 where the kernel does not say.

    Of a process with file capabilities the kernel tells root only.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0
