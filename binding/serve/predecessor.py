"""Where a former `serve` or the stand-in left a guest, and how the next `serve` goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from binding.ipc.codec import build
from binding.ipc.handover import Repeat
from binding.ipc.messages import Serve
from binding.serve.responder import Responder
from guest.network import FAMILIES, Family, GuestNetwork
from ra.state import State


@dataclass(frozen=True, slots=True)
class Predecessor:
    """What a former `serve` or the stand-in knew of this guest."""

    guest: GuestNetwork
    decided: frozenset[Family] | None
    state: State | None
    repeats: tuple[Repeat, ...]
    former: GuestNetwork | None
    """The GuestNetwork that the state is of, where the guest has another one now."""
    is_here: bool
    """The guest has been heard."""

    @classmethod
    def of(cls, guest: GuestNetwork, command: Serve) -> Predecessor:
        """Return what the sidecar hands over of a guest."""
        ours = command.decided.get(guest.network)
        decided = None if ours is None else frozenset(one for one in FAMILIES if one in ours)
        left = next((one for one in command.handovers if one.network == guest.network), None)
        state = None if left is None else build(State, left.ra_state)
        repeats = () if left is None else left.repeats
        former = next((one for one in command.former if one.network == guest.network), None)
        is_here = state is not None and state.active
        return cls(guest, decided, state, repeats, former, is_here)

    def in_this_process(self, before: Responder) -> Predecessor:
        """Return what is left where this process served the NIC until now, as another guest."""
        state = before.service.ra_state if before.service else self.state
        is_here = before.is_here or (state is not None and state.active)
        return replace(self, former=before.guest, state=state, is_here=is_here)

    @property
    def was_told_else(self) -> bool:
        """Whether the guest was configured by another GuestNetwork: it must be told of this one."""
        return self.former is not None and self.is_here

    def responder(self, now: float) -> Responder:
        """Return a responder that goes on from here; one that starts anew for a changed guest."""
        if self.state is None:
            return Responder(self.guest, now, self.decided)
        if self.former is not None:
            responder = Responder(self.guest, now, self.decided)
            responder.follow(self.former, self.state)
            return responder
        return Responder(self.guest, now, self.decided, self.state, self.repeats)
