"""What comes of one input of a guest: frames for the wire, and words for the operator."""

from __future__ import annotations

from dataclasses import dataclass, replace

from guest.exchange import Exchange
from ra.guest_input import Action, Solicit


@dataclass(frozen=True, slots=True)
class Output:
    """What to put on the wire after one input, and what to tell the operator."""

    tap: tuple[bytes, ...] = ()
    nic: tuple[bytes, ...] = ()
    exchanges: tuple[Exchange, ...] = ()

    def __add__(self, other: Output) -> Output:
        """Return this one, followed by the other."""
        return Output(self.tap + other.tap, self.nic + other.nic, self.exchanges + other.exchanges)

    def without_replies(self) -> Output:
        """Return what is left to do where the request itself has been answered."""
        unasked = (one.frame for one in self.exchanges if one.frame and not one.request)
        return replace(self, tap=tuple(unasked))


def output_of(actions: tuple[Action, ...]) -> Output:
    """Sort exchanges, whose frames are for the tap, from frames for the pod NIC."""
    exchanges = tuple(one for one in actions if isinstance(one, Exchange))
    solicits = tuple(one.frame for one in actions if isinstance(one, Solicit))
    return Output(tuple(one.frame for one in exchanges if one.frame), solicits, exchanges)
