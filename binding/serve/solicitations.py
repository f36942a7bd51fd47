"""Answers a guest's RS and NS by ra.guest_input, or from the answers kept where those hold. Pure.

ra.guest_input decides, from the guest's ra.state.State, which router the guest is told and when. As
long as that stays, an RS of equal meaning gets the RA of the RS before it, at most once a second;
any other solicitation goes to ra.guest_input.
"""

from __future__ import annotations

from typing import NamedTuple

from binding.serve.answers import Answer, Answers
from binding.serve.output import Output, output_of
from guest.ethernet import ROUTER_SOLICITATION
from guest.frame import Packet
from guest.network import GuestNetwork
from ra import guest_input
from ra.solicitation_key import Key, question
from ra.state import Outcome, State

_BETWEEN_ADVERTISEMENTS = 1.0
"""Seconds."""
_MOST_FRAMES = 16


class GuestFrame(NamedTuple):
    """A frame that the guest sent, and what is in it."""

    packet: Packet
    frame: bytes
    partial_checksum: bool


class Solicited(NamedTuple):
    """What the answer to a solicitation depends on."""

    asked: Key
    basis: tuple[object, ...]


class Solicitations:
    """The solicitations of one guest, and the state that they are answered from."""

    wake_at: float | None
    """When ra.guest_input.due must be called. Reckoned anew with each state, not at each look:
    the loop of `serve` looks twice for each frame."""

    def __init__(self, guest: GuestNetwork, answers: Answers, now: float) -> None:
        self.ra_state = guest_input.start(guest, now)
        self._guest = guest
        self._answers = answers
        self._read: dict[tuple[bytes, bool], Key] = {}
        """Keys of solicitations by frame, and by whether its checksum was left to the hardware."""
        self._advertise_at = now

    @property
    def ra_state(self) -> State:
        """What the guest was told by RA, a value; each input replaces it."""
        return self._ra_state

    @ra_state.setter
    def ra_state(self, state: State) -> None:
        self._ra_state, self.wake_at = state, guest_input.wake_at(state)

    @property
    def basis(self) -> tuple[object, ...]:
        """The part of `ra_state` that an answer depends on."""
        *always, deprecates = guest_input.answer_basis(self.ra_state)
        return *always, deprecates if self._guest.deprecated else False

    def sent_again(self, frame: bytes, now: float, *, partial_checksum: bool) -> Answer | None:
        """Return the RA to an RS that is, to the octet, one of before."""
        asked = self._read.get((frame, partial_checksum))
        return None if asked is None else self._advertised(asked, now)

    def answer(self, guest_frame: GuestFrame, now: float) -> Output:
        """Return what comes of a packet of ICMPv6."""
        packet, frame, partial = guest_frame
        asked = question(packet, self._guest)
        known = None if asked is None else self._advertised(asked, now)
        if known is not None:
            self._answers.asked(known, frame, partial_checksum=partial)
            return known.output(b"")
        before = self.ra_state
        output = self.take(guest_input.from_guest(before, self._guest, packet, now))
        answer = self._lasting(output)
        states = before, self.ra_state
        if asked and answer and guest_input.repeatable(states, self._guest, packet, output.nic):
            self._answers.keep(Solicited(asked, self.basis), answer)
            self._answers.asked(answer, frame, partial_checksum=partial)
            if len(self._read) >= _MOST_FRAMES:
                self._read.clear()
            self._read[frame, partial] = asked
        return output

    def take(self, step: Outcome) -> Output:
        """Take the next state; return what is to be sent."""
        self.ra_state, actions = step
        return output_of(actions)

    def _advertised(self, asked: Key, now: float) -> Answer | None:
        if asked.kind != ROUTER_SOLICITATION or now < self._advertise_at:
            return None
        known = self._answers.known(Solicited(asked, self.basis))
        if known is None or not guest_input.may_repeat_ra(self.ra_state):
            return None
        self._advertise_at = now + _BETWEEN_ADVERTISEMENTS
        return known

    def _lasting(self, output: Output) -> Answer | None:
        """Return the answer to the solicitation among the output, if it may be given again."""
        own = [exchange for exchange in output.exchanges if exchange.request]
        if len(own) != 1 or own[0].warning:
            return None
        # Silence to a guest with IPv6 depends on more than the request, such as the tokens left.
        if not own[0].frame and (self._guest.gets_ipv6 or output.nic):
            return None
        return Answer(own[0], output.nic)
