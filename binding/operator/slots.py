"""At most three commands of an operator run at once: the container has little memory."""

from __future__ import annotations

import fcntl
import os
import time

_SLOTS = 3
_EVERY = 0.1
_PATIENCE = 30.0


def wait(directory: str) -> None:
    """Wait for a slot, which is held until this process ends; go on without after 30 s.

    Where the directory cannot be written nobody waits: status must work then, too.
    """
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        for number in range(_SLOTS):
            path = f"{directory}/state/command-{number}.lock"
            try:
                slot = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError:
                return
            try:
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(slot)
            else:
                return
        time.sleep(_EVERY)
