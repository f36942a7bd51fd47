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
"""Likewise, where a lost call may have been Shutdown."""
_EVERY = 0.5


class Ending:
    """Stops the loop once the VM has ended. `taps` returns the taps of the guests served."""

    def __init__(self, loop: Loop, taps: Callable[[], tuple[str, ...]]) -> None:
        self._loop = loop
        self._taps = taps
        self._had_reader = False
        self._unread_since: float | None = None
        self._is_terminated = False
        self._is_waiting = False

    def terminated(self) -> None:
        """SIGTERM: end once no tap has a reader, at once where nobody is served."""
        _log.info("SIGTERM: going on until no process reads a guest's tap, or until Shutdown")
        self._is_terminated = True
        self._wait()

    def lost(self) -> None:
        """Take note of a connection whose call was not served: it may have been Shutdown."""
        if self._had_reader:
            self._wait()

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

    def _wait(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._check()

    def _check(self) -> None:
        """Stop the loop if the VM has ended, else check again soon where it may be ending."""
        if not self._taps():
            self._is_waiting = False
            if self._is_terminated:
                self._loop.stop()
            return
        self.look()
        patience = _AFTER_SIGTERM if self._is_terminated else _AFTER_LOST
        if self._unread_since is None and not self._is_terminated:
            self._is_waiting = False  # QEMU runs on: the lost call was not Shutdown
        elif self._unread_since is None or self._loop.now() < self._unread_since + patience:
            self._loop.after(_EVERY, self._check)
        else:
            _log.info("no process has read a guest's tap for %.0f s: the VM has ended", patience)
            self._loop.stop()
