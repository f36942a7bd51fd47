"""How long to wait with the next child where one after the other dies early."""

from __future__ import annotations

_LONG_LIVED = 10.0
_FIRST, _LONGEST = 0.05, 5.0


class EarlyEnds:
    """Counts children that lived shorter than 10 s, one after the other."""

    def __init__(self) -> None:
        self.count = 0

    def pause(self, age: float) -> float:
        """Note the end of a child of this age; return seconds to the next start.

        There is none after the first early end: what ended the child mostly does not come again.
        """
        self.count = self.count + 1 if age < _LONG_LIVED else 0
        return min(_FIRST * 2**self.count, _LONGEST) if self.count > 1 else 0.0
