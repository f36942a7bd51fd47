"""Has `plumb` look at the pod's packet filters now and then, and says in the log what it found.

Nothing notifies the sidecar when the guard drops what a guest sends as a server, nor when rules of
other programs drop frames. So `plumb` looks at the counters and tables soon after a guest was
served, while `serve` still runs, then now and then while a guest is served, and whenever another
program has changed nf_tables. At rest only such a change wakes the sidecar for a look.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from binding.ipc.codec import decode, encode
from binding.packet.bridge_filters import is_at_links, passed_by, that_are_on
from binding.packet.guard import GuardTable, Observed, served_by_guest
from binding.process import capabilities
from binding.process.loop import Lock, Loop, Timer
from binding.sidecar.plumb_child import PlumbError, plumb
from binding.sidecar.status import StatusPages

_log = logging.getLogger(__name__)
_AFTER_REPORT, _AFTER_CHANGE = 4.0, 2.0
"""Seconds; `serve` leaves after 8 quiet seconds, and then nothing is to wake the sidecar."""
_PAUSES = (0.0, 600.0, 3600.0)
"""Seconds from one look to the next while a guest is served, the last for good."""
_NOT_SOONER = 10.0
"""Seconds between two looks, however often others change their tables."""
_MOST_NAMED = 8


class FilterWatch:
    """When the next look is, and what has been named already."""

    def __init__(self, loop: Loop, lock: Lock, table: str, pages: StatusPages) -> None:
        self._loop, self._lock, self._table, self._pages = loop, lock, table, pages
        self._timer: Timer | None = None
        self._at, self._looked = 0.0, loop.now() - _NOT_SOONER
        self._named: frozenset[str] = frozenset()
        self._pauses = list(_PAUSES)

    def changed(self) -> None:
        """Look soon: another program has changed nf_tables."""
        self._plan(max(_AFTER_CHANGE, self._looked + _NOT_SOONER - self._loop.now()))

    def served(self) -> None:
        """Look soon, if the last look is long ago: a guest is served, so nothing is at rest."""
        if self._loop.now() >= self._looked + self._pauses[0]:
            self._plan(_AFTER_REPORT)

    def _plan(self, seconds: float) -> None:
        at = self._loop.now() + seconds
        if "NET_ADMIN" not in capabilities.permitted():
            return
        if self._timer is not None:
            if self._at <= at:
                return
            self._timer.cancel()
        self._at = at
        self._timer = self._loop.at(at, lambda: self._loop.spawn(self._look()))

    async def _look(self) -> None:
        self._timer, self._looked = None, self._loop.now()
        self._pauses = self._pauses[1:] or self._pauses
        if not self._pages.opened():
            return
        # What fails is tried at the next look: nothing depends on it.
        with suppress(PlumbError, OSError, ValueError, IndexError):
            async with self._lock:
                # Whether the guard is as it should be is not asked: the kernel's notices say so.
                done = await plumb(self._loop, {"look": encode(GuardTable(self._table))})
            self._tell(decode(Observed, done.lines[-1]))

    def _tell(self, seen: Observed) -> None:
        passing = that_are_on()
        foreign = {one for one in seen.foreign if is_at_links(one) or passed_by(one, passing)}
        for text in sorted(foreign - self._named)[:_MOST_NAMED]:
            via = "" if is_at_links(text) else f", as {passed_by(text, passing)} is 1"
            _log.warning("rules of others can drop what guests send or get: %s%s", text, via)
        self._named = frozenset(foreign)
        for page in self._pages.opened():
            kinds = served_by_guest(seen.dropped, page.guest.tap)
            text = f"the guest acts as a server or router: its {kinds} stop here; "
            text += 'stop that service in the guest, or allow it by "shield": false'
            self._pages.find(page.guest.network, "shield", text if kinds else "")
