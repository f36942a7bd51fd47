"""How long to wait with the next child where one after the other dies early."""

from __future__ import annotations

_LONG_LIVED = 10.0
_SHORTEST, _LONGEST = 0.2, 5.0
"""Seconds of a pause; each is twice as long as the one before."""


class EarlyEnds:
    """Counts children that lived shorter than 10 s, one after the other."""

    def __init__(self) -> None:
        self.count = 0

    def pause(self, age: float) -> float:
        """Note the end of a child of this age; return seconds to the next start.

        There is none after the first early end: what ended the child mostly does not come again.
        """
        self.count = self.count + 1 if age < _LONG_LIVED else 0
        return min(_SHORTEST * 2 ** (self.count - 2), _LONGEST) if self.count > 1 else 0.0
