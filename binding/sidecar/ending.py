"""When the sidecar ends: never while a guest may still need it, and always once it does not.

kubelet sends SIGTERM to all containers of a pod at once, while the guest still shuts down for its
grace period.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from binding.packet import link_table
from binding.process.loop import Loop

_log = logging.getLogger(__name__)

_AFTER_SIGTERM = 2.0
"""Seconds without a process that reads a tap: QEMU has ended."""
_AFTER_LOST = 10.0
_EVERY = 0.5


class Ending:
    """Stops the loop once the VM has ended. `taps` returns the taps of the guests served."""

    def __init__(self, loop: Loop, taps: Callable[[], tuple[str, ...]]) -> None:
        self._loop = loop
        self._taps = taps
        self._had_reader = False
        self._unread_since: float | None = None
        self._patience: float | None = None

    def terminated(self) -> None:
        """SIGTERM: end once no tap has a reader, at once where nobody is served."""
        _log.info("SIGTERM: going on until no process reads a guest's tap, or until Shutdown")
        self._end_after(_AFTER_SIGTERM)

    def lost(self) -> None:
        """Take note of a connection whose call was not served: it may have been Shutdown."""
        if self._had_reader:
            self._end_after(_AFTER_LOST)

    def look(self) -> None:
        """Take note whether a process reads a tap."""
        try:
            links = link_table.read()
        except OSError:
            return
        taps = self._taps()
        if any(tap in links and links[tap].carrier for tap in taps):
            self._had_reader, self._unread_since = True, None
        elif self._unread_since is None:
            self._unread_since = self._loop.now()

    def _end_after(self, patience: float) -> None:
        is_waiting = self._patience is not None
        self._patience = min(patience, self._patience or patience)
        if not is_waiting:
            self._check()

    def _check(self) -> None:
        assert self._patience is not None
        if not self._taps():
            if self._patience == _AFTER_LOST:  # nothing tells that the VM has ended
                self._patience = None
            else:
                self._loop.stop()
            return
        self.look()
        now = self._loop.now()
        if self._unread_since is not None and now >= self._unread_since + self._patience:
            _log.info(
                "no process has read a guest's tap for %.0f s: the VM has ended", self._patience
            )
            self._loop.stop()
            return
        if self._unread_since is None and self._patience == _AFTER_LOST:
            self._patience = None  # the VM runs on: it was not Shutdown
            return
        self._loop.after(_EVERY, self._check)
