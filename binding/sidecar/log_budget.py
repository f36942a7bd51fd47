"""How much of the log the guests of a VM may fill: under 1 MB a day, whatever they do.

Every kind of line has a few at once, then one in some minutes; the next line tells how many were
left out. A kind that is new is always written: it is how a fault begins. Exchanges and warnings
have octets of their own, so that a guest that asks without end hides no warning.
"""

from __future__ import annotations

_BURST, _EVERY = 4, 300.0
"""Lines of one kind at once, and seconds to each further one."""
_OCTETS = {False: (40_000, 6.0), True: (40_000, 3.5)}
"""Of exchanges and of warnings: octets at once, and octets a second beyond: 900,800 on a day."""
_MOST_KINDS = 32


class _Bucket:
    __slots__ = ("at", "left", "left_out", "most", "rate")

    def __init__(self, most: float, rate: float, now: float) -> None:
        self.most, self.rate = most, rate
        self.left, self.at = most, now
        self.left_out = 0

    def fill(self, now: float) -> None:
        """Add what the time since the last call allows."""
        self.left = min(self.most, self.left + max(0.0, now - self.at) * self.rate)
        self.at = now


class LogBudget:
    """The budget of one sidecar. `now` is in seconds from outside, never going back."""

    def __init__(self, now: float) -> None:
        self._octets = {kind: _Bucket(*limits, now) for kind, limits in _OCTETS.items()}
        self._kinds: dict[str, _Bucket] = {}

    def take(self, kind: str, now: float, *, is_warning: bool = False) -> int | None:
        """Return how many lines of this kind were left out before this one; None to leave it out.

        `kind` is what the lines have in common, such as `DISCOVER from another MAC`.
        """
        one = self._kinds.get(kind)
        if one is None:
            if len(self._kinds) >= _MOST_KINDS:
                del self._kinds[next(iter(self._kinds))]
            one = self._kinds[kind] = _Bucket(_BURST, 1 / _EVERY, now)
        octets = self._octets[is_warning]
        one.fill(now)
        octets.fill(now)
        if one.left < 1 or octets.left <= 0:
            one.left_out += 1
            return None
        one.left -= 1
        left_out, one.left_out = one.left_out, 0
        return left_out

    def spend(self, octets: int, *, is_warning: bool = False) -> None:
        """Take off what a line has filled."""
        self._octets[is_warning].left -= octets
