"""Reads the pod before there is a hook socket, and whenever the CNI changes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from binding.ipc.codec import decode, encode
from binding.ipc.snapshot import Snapshot, merged, with_plugged
from binding.process.loop import Lock, Loop, Timer
from binding.sidecar import pod_snapshot, state_file
from binding.sidecar.link_history import LinkHistory

_log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_SOON = 0.5
"""Seconds from the first news of a change to the next reading: addresses change in bursts."""
_AT_ONCE = 0.1
_AFTER_WIRING = 4.0
_LONGEST_BETWEEN = 60.0
"""Seconds between two readings of a pod that changes all the time."""


class PodReader:
    """Keeps the pod as its CNI made it, in memory and in `snapshot.json`."""

    def __init__(
        self,
        loop: Loop,
        path: str,
        on_change: Callable[[str], object],
    ) -> None:
        self._loop = loop
        self._path = path
        self._on_change = on_change
        self.history = LinkHistory()
        self._timer: Timer | None = None
        self._lock = Lock()
        self._is_plugged = False
        self._between = _SOON
        self._latest = -_LONGEST_BETWEEN
        self.snapshot = ""
        """binding.ipc.snapshot.Snapshot as JSON; empty until the pod has been read."""

    async def read(self) -> str:
        """Read the pod, as often as it takes: KubeVirt waits for minutes.

        What a former sidecar of this pod has saved fills in what has been rewired since.
        """
        pause = _FIRST_PAUSE
        while True:
            plugged = self.history.wired()
            try:
                taken, saved = pod_snapshot.take(), self._saved()
            except OSError as error:
                _log.warning("cannot read the pod's links, retrying in %.1f s: %s", pause, error)
                await self._loop.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            snapshot = encode(merged(taken, with_plugged(saved, plugged)))
            if snapshot != self.snapshot:
                state_file.save(self._path, snapshot)
            self.snapshot = snapshot
            self.history.forget(plugged)
            if not self.history.wired():  # else its links were half the CNI's when it was read
                return snapshot

    def _saved(self) -> Snapshot | None:
        data = state_file.load(self._path)
        if not data:
            return None
        try:
            return decode(Snapshot, data)
        except ValueError as error:
            state_file.unusable(self._path, str(error)[:200])
            return None

    @property
    def is_missing(self) -> bool:
        """Whether somebody has removed `snapshot.json`."""
        return bool(self.snapshot) and not os.path.exists(self._path)

    def save_again(self) -> None:
        """Save what somebody has removed."""
        if self.is_missing:
            state_file.save(self._path, self.snapshot)

    def read_soon(self, *, is_wiring: bool) -> None:
        """Read the pod again: a link, an address or a route has changed.

        While the pod is being wired everything changes, and the CPU is for the guest's boot.
        """
        if self._timer is not None or not self.snapshot:
            return
        is_quiet = self._loop.now() > self._latest + _LONGEST_BETWEEN
        self._between = _SOON if is_quiet else min(2 * self._between, _LONGEST_BETWEEN)
        seconds = max(self._between, _AFTER_WIRING) if is_wiring else self._between
        self._timer = self._loop.after(seconds, lambda: self._loop.spawn(self._again()))

    def read_now(self) -> None:
        """Read the pod, and have the guests found anew: a NIC was plugged in or out."""
        if self.snapshot:
            if self._timer is not None:
                self._timer.cancel()
            self._is_plugged = True
            self._timer = self._loop.after(_AT_ONCE, lambda: self._loop.spawn(self._again()))

    async def _again(self) -> None:
        self._timer = None  # what changes from here on is read again
        is_plugged, self._is_plugged = self._is_plugged, False
        self._latest = self._loop.now()
        async with self._lock:
            before = self.snapshot
            snapshot = await self.read()
            if snapshot != before or is_plugged:
                self._on_change(snapshot)
