"""Gives back to the kernel what this process no longer uses."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Return free memory: messages leave 0.5 MiB behind that a rest of hours does without."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl not
    if trim is not None:
        trim(0)
