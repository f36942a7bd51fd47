"""How many lines of the log the exchanges of one guest may fill: 1 MB a day, whatever it asks.

Every kind of exchange has a few lines at once, then one in some minutes; the next line tells how
many were left out. A kind that is new is always written: it is how a fault begins.
"""

from __future__ import annotations

_BURST, _EVERY = 4, 300.0
"""Lines of one kind at once, and seconds to each further one."""
_ALL_BURST, _ALL_EVERY = 60, 30.0
_MOST_KINDS = 32


class _Bucket:
    __slots__ = ("at", "every", "left", "left_out", "most")

    def __init__(self, most: int, every: float, now: float) -> None:
        self.most, self.every = most, every
        self.left, self.at = float(most), now
        self.left_out = 0

    def fill(self, now: float) -> None:
        """Add the lines that the time since the last call allows."""
        self.left = min(float(self.most), self.left + max(0.0, now - self.at) / self.every)
        self.at = now


class LogBudget:
    """The budget of one guest. `now` is in seconds from outside, never going back."""

    def __init__(self, now: float) -> None:
        self._all = _Bucket(_ALL_BURST, _ALL_EVERY, now)
        self._kinds: dict[str, _Bucket] = {}

    def take(self, kind: str, now: float) -> int | None:
        """Return how many lines of this kind were left out before this one; None to leave it out.

        `kind` is what the lines have in common, such as `DISCOVER from another MAC`.
        """
        one = self._kinds.get(kind)
        if one is None:
            if len(self._kinds) >= _MOST_KINDS:
                del self._kinds[next(iter(self._kinds))]
            one = self._kinds[kind] = _Bucket(_BURST, _EVERY, now)
        one.fill(now)
        self._all.fill(now)
        if one.left < 1 or self._all.left < 1:
            one.left_out += 1
            return None
        one.left -= 1
        self._all.left -= 1
        left_out, one.left_out = one.left_out, 0
        return left_out
