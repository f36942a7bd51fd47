"""The outcome of one input: frames for tap and pod NIC, and exchanges for the operator."""

from __future__ import annotations

from typing import NamedTuple

from guest.exchange import Exchange
from ra.state import Action, Solicit


class Output(NamedTuple):
    """Frames to send after one input, and exchanges to report to the operator.

    A tuple: a dataclass takes thrice as long to make, and each answer has one of its own.
    """

    tap: tuple[bytes, ...] = ()
    nic: tuple[bytes, ...] = ()
    exchanges: tuple[Exchange, ...] = ()

    def __add__(self, other: Output) -> Output:  # type: ignore[override]  # of outputs, not tuples
        """Return this output, followed by another."""
        if self is NOTHING:
            return other
        if other is NOTHING:
            return self
        return Output(self.tap + other.tap, self.nic + other.nic, self.exchanges + other.exchanges)

    def without_replies(self) -> Output:
        """Return the output without the replies, which the stand-in has sent already."""
        unasked = (one.frame for one in self.exchanges if one.frame and not one.request)
        return self._replace(tap=tuple(unasked))


NOTHING = Output()


def earliest(one: float | None, other: float | None) -> float | None:
    """Return the earlier of two times, of which either may be none."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def output_of(actions: tuple[Action, ...]) -> Output:
    """Sort exchanges, whose frames are for the tap, from frames for the pod NIC."""
    if not actions:
        return NOTHING
    exchanges = tuple(one for one in actions if isinstance(one, Exchange))
    solicits = tuple(one.frame for one in actions if isinstance(one, Solicit))
    return Output(tuple(one.frame for one in exchanges if one.frame), solicits, exchanges)
