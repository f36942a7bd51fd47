"""Finding the MAC of one address: three tries a second apart, then only on demand. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from guest.network import Address

TRIES = 3
BETWEEN_TRIES = 1.0
"""Seconds: MAX_MULTICAST_SOLICIT and RETRANS_TIMER of RFC 4861 section 10."""


@dataclass(frozen=True, slots=True)
class Neighbor:
    """An address on the pod link and what is known of it."""

    address: Address
    lladdr: str | None = None
    left: int = 0
    """Tries that are still to be made."""
    tried: float = -math.inf
    """When the last one was made."""
    unanswered: int = 0
    """Tries since the last answer."""

    @property
    def wake_at(self) -> float | None:
        """When the next try is due; -inf is at once."""
        return self.tried + BETWEEN_TRIES if self.left else None

    @property
    def doubtful(self) -> bool:
        """Whether the MAC was asked for again, twice, and nobody has confirmed it."""
        return self.unanswered >= 2

    def ask(self) -> Neighbor:
        """Begin to resolve, unless that is under way."""
        return self if self.left else replace(self, left=TRIES)

    def due(self, now: float) -> Neighbor:
        """Make a try if it is time; the result differs from self exactly then."""
        if not self.left or now < self.tried + BETWEEN_TRIES:
            return self
        return replace(self, left=self.left - 1, tried=now, unanswered=self.unanswered + 1)

    def heard(self, lladdr: str) -> Neighbor:
        """Take the answer."""
        return replace(self, lladdr=lladdr, left=0, unanswered=0)
