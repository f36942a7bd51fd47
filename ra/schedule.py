"""When router advertisements go out (RFC 4861 section 6.2.4). Pure; `now` in seconds.

A guest keeps its route for 18 hours after one RA, so periodic RAs are as rare as RFC 4861
allows. They renew the route of a guest that never solicits again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from hashlib import blake2b

LONGEST = 1800.0
"""MaxRtrAdvInterval (section 6.2.1) where no lifetime asks for less."""
_LEAST = 4.0
_SHORTEST = 0.75
"""MinRtrAdvInterval, of the longest."""
BETWEEN_MULTICASTS = 3.0
"""MIN_DELAY_BETWEEN_RAS (section 10)."""
INITIAL = 3
"""MAX_INITIAL_RTR_ADVERTISEMENTS."""
INITIAL_LONGEST, INITIAL_SHORTEST = 16.0, 4.0
"""MAX_INITIAL_RTR_ADVERT_INTERVAL, and our shortest between two initial ones."""
BURST, PER_SECOND = 8.0, 1.0
"""Unicast answers: a storm of RS gets a burst and then one per second."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The state of one guest's advertisements."""

    seed: str
    """Spreads the RAs of a node's guests over time, in the same way after every restart."""
    longest: float
    """MaxRtrAdvInterval of this guest."""
    at: float | None
    """When the next multicast RA is due."""
    reason: str = "periodic"
    initial: int = 0
    """How many are left of the RAs that follow the guest's first frame or a change."""
    sent: int = 0
    last: float = -math.inf
    tokens: float = BURST
    counted: float = -math.inf
    """Time (monotonic seconds) at which `tokens` was last brought up to date."""

    def later(self, now: float, reason: str, delay: float = 0.0) -> Schedule:
        """Begin a new series of initial RAs, as soon as the distance to the last allows."""
        at = max(now + delay, self.last + BETWEEN_MULTICASTS)
        return replace(self, at=at, reason=reason, initial=INITIAL)

    def sooner(self, at: float) -> Schedule:
        """Send the next multicast RA earlier, to answer an RS from the unspecified address."""
        earliest = max(at, self.last + BETWEEN_MULTICASTS)
        return self if self.at is not None and self.at <= earliest else replace(self, at=earliest)

    def multicast(self, now: float) -> Schedule:
        """Record a multicast RA and set the time of the next."""
        left = max(self.initial - 1, 0)
        longest = min(INITIAL_LONGEST, self.longest) if left else self.longest
        shortest = INITIAL_SHORTEST if left else self.longest * _SHORTEST
        wait = shortest + (longest - shortest) * _fraction(self.seed, self.sent)
        return replace(
            self,
            at=now + wait,
            reason=self.reason if left else "periodic",
            initial=left,
            sent=self.sent + 1,
            last=now,
        )

    def unicast(self, now: float) -> Schedule | None:
        """Take a token for a unicast answer; None when there is none left."""
        gained = (now - self.counted) * PER_SECOND
        tokens = min(BURST, self.tokens + gained)
        return replace(self, tokens=tokens - 1, counted=now) if tokens >= 1 else None


def begin(seed: str, now: float | None, lease: int | None = None) -> Schedule:
    """Return the schedule of a guest that has not been heard.

    With `now` None no periodic RA is sent until the guest has been heard. Prefixes last as long
    as the lease, in seconds: the guest gets three RAs with them before they end.
    """
    longest = LONGEST if lease is None else max(min(LONGEST, lease / 3), _LEAST)
    if now is None:
        return Schedule(seed, longest, None)
    wait = longest * (_SHORTEST + (1 - _SHORTEST) * _fraction(seed, -1))
    return Schedule(seed, longest, now + wait)


def _fraction(seed: str, count: int) -> float:
    digest = blake2b(f"{seed} {count}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
