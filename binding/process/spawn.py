"""Starts our other programs. subprocess would do it too, for 0.5 MiB of every VM."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable

APPLICATION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""Where `python -m binding…` finds our packages."""


class Process:
    """A program that was started; its owner must call `poll` until it has ended."""

    def __init__(
        self,
        module: str,
        words: Iterable[str],
        *,
        keep: Iterable[int] = (),
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> None:
        """Start `python -m module words`, with the descriptors of `keep` under their numbers.

        stdin is empty and stdout ours unless given. Raises OSError.
        """
        # A descriptor that is duplicated onto itself stays open in the program.
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_DUP2, one, one) for one in keep
        ]
        if stdin is None:
            actions.append((os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0))
        else:
            actions.append((os.POSIX_SPAWN_DUP2, stdin, 0))
        if stdout is not None:
            actions.append((os.POSIX_SPAWN_DUP2, stdout, 1))
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *_warnings(), "-m", module, *words],
            os.environ | {"PYTHONPATH": os.pathsep.join(_path()), "MALLOC_ARENA_MAX": "1"},
            file_actions=actions,
        )
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, the negative number of the signal that ended it, or None."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, if the program has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _path() -> list[str]:
    return [APPLICATION, *filter(None, [os.environ.get("PYTHONPATH")])]


def _warnings() -> list[str]:
    """Return the -W options that this process was started with."""
    return [f"-W{option}" for option in sys.warnoptions]


def ending(status: int) -> str:
    """Return how a program ended, for an operator."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
