"""Which MAC an address of the pod network has: found by asking, changed only after a check. Pure.

Anybody on the link can claim another host's address with one forged frame. A claim that
differs from the known MAC is therefore checked first: the known MAC is asked, by unicast,
whether it still has the address, and only if it stays silent the claimant is asked. The
former MAC is remembered: once it speaks again and answers, the move is undone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from guest.network import Address

TRIES = 3
BETWEEN_TRIES = 1.0
"""Seconds: MAX_MULTICAST_SOLICIT and RETRANS_TIMER of RFC 4861 section 10."""
_BETWEEN_CHECKS = 1.0
"""Seconds from the begin of one check to the next, so the guest hears of one move at most."""
_BETWEEN_QUESTIONS = 0.15
"""Seconds that each unicast question of a check waits for its answer."""
_TO_KNOWN, _TO_CLAIMANT = 2, 2
"""Questions of a check to either MAC; all of them together take 0.6 seconds."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an ARP reply, an ARP announcement or a neighbour advertisement says."""

    address: Address
    lladdr: str
    override: bool = True
    """ND's O flag: the sender may replace another MAC; a proxy or an anycast host may not."""


@dataclass(frozen=True, slots=True)
class Check:
    """A claim that is being checked."""

    lladdr: str
    """The claimant's MAC."""
    at: float
    """When the next question is due."""
    asked: int = 0
    """Questions so far: first those to the known MAC, then those to the claimant."""


@dataclass(frozen=True, slots=True)
class Neighbor:
    """An address on the pod link and the MAC that is known for it."""

    address: Address
    lladdr: str | None = None
    permanent: bool = False
    """The pod has it as a permanent neighbour entry: never asked for and never changed."""
    left: int = 0
    """Multicast questions that are still to be sent."""
    tried: float = -math.inf
    """When the last one was sent."""
    unanswered: int = 0
    """Multicast questions since the last answer."""
    check: Check | None = None
    checked: float = -math.inf
    """When the last check began."""
    former: str | None = None
    """The MAC before the last move, unless that move undid another."""

    @property
    def wake_at(self) -> float | None:
        """When the next question is due; -inf is at once."""
        times = [self.tried + BETWEEN_TRIES] if self.left else []
        if self.check is not None:
            times.append(self.check.at)
        return min(times, default=None)

    @property
    def doubtful(self) -> bool:
        """Whether two multicast questions or more have had no answer."""
        return self.unanswered >= 2

    def ask(self) -> Neighbor:
        """Begin to resolve the address, unless that is under way."""
        return self if self.left or self.permanent else replace(self, left=TRIES)

    def due(self, now: float) -> tuple[Neighbor, tuple[str | None, ...]]:
        """Return the next state (self without a question), and whom to ask: MACs, None for all."""
        after, whom = self, list[str | None]()
        if self.left and now >= self.tried + BETWEEN_TRIES:
            after = replace(self, left=self.left - 1, tried=now, unanswered=self.unanswered + 1)
            whom.append(None)
        check = self.check
        if check is None or now < check.at:
            return after, tuple(whom)
        if check.asked == _TO_KNOWN + _TO_CLAIMANT:
            return replace(after, check=None), tuple(whom)  # neither answers: nothing is proved
        whom.append(self.lladdr if check.asked < _TO_KNOWN else check.lladdr)
        check = replace(check, at=now + _BETWEEN_QUESTIONS, asked=check.asked + 1)
        return replace(after, check=check), tuple(whom)

    def heard(self, claim: Claim, now: float) -> Neighbor:
        """Take a claim to this address: an answer, or a reason to begin a check."""
        if self.permanent:
            return self
        if self.lladdr is None:
            # As with hosts (RFC 4861 section 7.2.5), a claim that nobody asked for makes no entry.
            asked = self.unanswered > 0
            return self._at(claim.lladdr) if asked else self
        if claim.lladdr == self.lladdr:
            # A claim of the known MAC ends the check of a newcomer, but not the check of the former
            # MAC, which is believed as soon as it answers.
            undone = self.check is not None and self.check.lladdr == self.former
            return replace(self._at(claim.lladdr), check=self.check if undone else None)
        if self.check is not None and claim.lladdr == self.check.lladdr:
            return self._moved(claim.lladdr) if self.check.asked > _TO_KNOWN else self
        if not claim.override and not self.doubtful:
            return self  # RFC 4861 section 7.2.5: without O the cached MAC stays
        return self.suspect(claim.lladdr, now)

    def suspect(self, lladdr: str, now: float, *, at_once: bool = False) -> Neighbor:
        """Begin to check whether the address is at another MAC now.

        The known MAC is not asked first where the other one is the former, or `at_once`.
        """
        former = lladdr == self.former
        if self.permanent or lladdr == self.lladdr:
            return self
        if self.check is not None and (self.check.asked or not former):
            return self
        begin = now if at_once else max(now, self.checked + _BETWEEN_CHECKS)
        asked = _TO_KNOWN if former or at_once else 0
        return replace(self, check=Check(lladdr, begin, asked), checked=begin)

    def _at(self, lladdr: str) -> Neighbor:
        return replace(self, lladdr=lladdr, left=0, unanswered=0)

    def _moved(self, lladdr: str) -> Neighbor:
        former = None if lladdr == self.former else self.lladdr
        return replace(self._at(lladdr), check=None, former=former)
