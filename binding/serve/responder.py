"""One guest's responder: each frame to the protocol that answers it, and what is counted.

Holds state but does no I/O: frames in, frames out, `now` from outside. serve owns
the sockets and the clock.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace

from binding.ipc import repeats
from binding.ipc.codec import encode
from binding.ipc.handover import Handover, Planned, Repeat
from binding.ipc.repeats import Repeat as KnownRequest
from binding.serve import other_servers
from binding.serve.answers import Memo
from binding.serve.output import Output, output_of
from binding.serve.ovn_watch import Sight, Witness
from binding.serve.who_serves import BOTH, Choice
from dhcp import server, v4
from guest.ethernet import ETH_ARP, ICMPV6, mac_bytes
from guest.exchange import Exchange
from guest.frame import Packet, parse
from guest.network import Address, Family, GuestNetwork
from ra import arp, guest_input

__all__ = ["Output", "Responder"]

_QUIET = 1.0
"""Seconds to the next thing to do that are worth a rest."""
_BETWEEN_REPEATS = 1.0
_MOST_STEPS = 8
_MOST_HELD = 8
"""Requests that wait until it is known who serves the guest; its client repeats the others."""


@dataclass(slots=True)
class _Part:
    """What serves the families that are ours, and watches over the others."""

    guest: GuestNetwork
    """With our families only."""
    session: guest_input.State
    witness: Witness
    memo: Memo


class Responder:
    """Answers for one guest. Equal input and state give equal output.

    `decided` are the families that we serve, where `provider: auto` has found that out before;
    `resumed` is the session of a former process, `known` what it could answer again.
    """

    def __init__(
        self,
        guest: GuestNetwork,
        now: float,
        decided: frozenset[Family] | None = None,
        resumed: guest_input.State | None = None,
        known: tuple[Repeat, ...] = (),  # noqa: ARG002  # comes with the one cache of answers
    ) -> None:
        self.guest = guest
        self.counters: Counter[str] = Counter()
        self._choice = Choice(guest, now, decided)
        self._ours: frozenset[Family] = frozenset()
        self._part: _Part | None = None
        self._held: deque[Packet] = deque(maxlen=_MOST_HELD)
        self._here = False
        self._repeats = repeats.Repeats()
        self._again_at = now
        self._settle(now)
        if resumed is not None and self._part is not None:
            self._part.session = resumed
            self._here = resumed.active

    @property
    def router(self) -> guest_input.Router | None:
        """The IPv6 router that the guest is told by us, once that is decided."""
        return guest_input.router(self._part.session) if self._part and 6 in self._ours else None

    @property
    def state(self) -> guest_input.State | None:
        """What a successor goes on from; None while it is not known what we serve."""
        return self._part.session if self._part else None

    @property
    def here(self) -> bool:
        """Whether the guest has been heard."""
        return self._here

    @property
    def wake_at(self) -> float | None:
        """When `due` wants to be called."""
        times = [self._choice.wake_at]
        if self._part:
            times += [guest_input.wake_at(self._part.session), self._part.witness.wake_at]
        return min((at for at in times if at is not None), default=None)

    @property
    def serves(self) -> frozenset[Family] | None:
        """The families that we serve; None while that is being found out."""
        return self._choice.ours

    @property
    def findings(self) -> dict[str, str]:
        """What OVN leaves out, or no longer does, since this was emptied."""
        return self._part.witness.findings if self._part else {}

    def from_guest(self, frame: bytes, now: float, *, partial_checksum: bool = False) -> Output:
        """Answer a frame that the guest sent into its tap."""
        known = self._repeats.solicitation(frame, partial_checksum=partial_checksum)
        if known is not None and (output := self._again(known, now)):
            return output
        if frame[12:14] == ETH_ARP.to_bytes(2, "big"):
            return self._arp(frame)
        packet = parse(frame, partial_checksum=partial_checksum)
        if packet is None:
            self.counters["malformed"] += 1
            return Output()
        if packet.src_mac == self.guest.mac:
            self._here = True
            self._choice.begin(now)
            self._choice.from_guest(packet)
        settled = self._settle(now)
        if self._part is None:
            self._held.append(packet)
            return settled
        before, size = self._part.session, self._part.memo.size
        answer = self._answer(self._part, packet, now)
        heard = answer.exchanges, answer.nic
        if packet.protocol == ICMPV6:
            states = before, self._part.session
            learns = guest_input.repeatable(states, self._part.guest, packet, answer.nic)
        else:
            learns = self._part.memo.size != size
        if learns:
            learned = repeats.repeat(frame, *heard, partial_checksum=partial_checksum)
            self._repeats.keep(learned)
        return settled + answer

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """The latest requests, and what would be answered to the same again."""
        return tuple(
            Repeat(one.request, one.partial_checksum, (one.answer.frame,), one.nic, one.tells)
            for one in self._repeats.all
        )

    def handover(self, now: float) -> Handover | None:
        """Return what a stand-in needs while all is quiet; None as long as it is not."""
        part = self._part
        if part is None or part.witness.wake_at or self.findings:
            return None
        if not part.session.active and (
            self.guest.migration_target or guest_input.wake_at(part.session) is not None
        ):
            return None  # a plan for it would have to know what its gateways answer
        steps: list[Planned] = []
        state = part.session
        while len(steps) < _MOST_STEPS and (at := guest_input.wake_at(state)) is not None:
            if at < now + _QUIET:
                return None
            state, actions = guest_input.due(state, part.guest, at)
            output = output_of(actions)
            steps.append(Planned(at, output.tap, output.nic, encode(state)))
        known = encode(part.session), tuple(steps), self.repeats
        return Handover(self.guest.network, self.guest.tap, self.guest.nic, *known)

    @property
    def gateways(self) -> tuple[tuple[Address, str], ...]:
        """Whose MAC the guest relies on: a change of it must not go unnoticed."""
        return guest_input.gateways(self._part.session) if self._part else ()

    def arrived(self, frame: bytes, now: float) -> Output:
        """Take note that a migrated guest now runs here: any frame of its own tells."""
        if frame[6:12] != mac_bytes(self.guest.mac):
            return Output()
        return self.present(now)

    def present(self, now: float) -> Output:
        """Take note that the guest is there, whatever it was told so far."""
        self._here = True
        self._choice.begin(now)
        return self._settle(now) + self._appear(now)

    def from_network(self, frame: bytes, now: float, *, partial_checksum: bool = False) -> Output:
        """Learn from a frame that came in on the pod NIC."""
        packet = parse(frame, partial_checksum=partial_checksum)
        answer = other_servers.read(packet, self.guest.mac) if packet else None
        if self._part is None:
            if answer:
                self._choice.from_network(answer)
            return self._settle(now)
        seen = self._see(self._part.witness.from_network(answer, now)) if answer else Output()
        state = guest_input.from_network(self._part.session, self._part.guest, frame, now)
        return seen + self._advance(self._part, *state)

    def excuse(self) -> None:
        """Blame nobody for silence to what was asked before this process listened."""
        if self._part is not None:
            self._part.witness.excuse()

    def due(self, now: float) -> Output:
        """Do what the time asks for."""
        output = Output(nic=self._choice.due(now)) + self._settle(now)
        if self._part is None:
            return output
        self._part.witness.due(now)
        return output + self._advance(
            self._part, *guest_input.due(self._part.session, self._part.guest, now)
        )

    def _settle(self, now: float) -> Output:
        """Begin to serve what is ours, as soon as that is known or if it has changed."""
        ours = self._choice.ours
        if ours is None or (self._part is not None and ours == self._ours):
            return Output()
        self._ours, self._repeats = ours, repeats.Repeats()
        told = _share(self.guest, ours)
        witness = Witness(self.guest, BOTH - ours)
        self._part = part = _Part(told, guest_input.start(told, now), witness, Memo())
        output = self._appear(now) if self._here else Output()
        while self._held:
            output += self._answer(part, self._held.popleft(), now)
        return output

    def _appear(self, now: float) -> Output:
        part = self._part
        if part is None or part.session.active:
            return Output()
        return self._advance(part, *guest_input.from_guest(part.session, part.guest, None, now))

    def _answer(self, part: _Part, packet: Packet, now: float) -> Output:
        if (4 if packet.src.version == 4 else 6) not in self._ours:
            active = self._appear(now) if packet.src_mac == self.guest.mac else Output()
            return self._see(part.witness.from_guest(packet, now)) + active
        if packet.protocol == ICMPV6:
            state = guest_input.from_guest(part.session, part.guest, packet, now)
            return self._advance(part, *state)
        answer = self._dhcp(part, packet)
        if answer is None:
            self.counters["malformed"] += 1
            return Output()
        active = self._appear(now) if packet.src_mac == self.guest.mac else Output()
        self._count(answer)
        return Output((answer.frame,) if answer.frame else (), (), (answer,)) + active

    def _arp(self, frame: bytes) -> Output:
        """Answer for the server's address where it is no gateway's: T1's unicast goes there."""
        address = v4.own_address(self._part.guest) if self._part else None
        answer = address and arp.answer(frame, self.guest.mac, address)
        if not answer:
            return Output()
        self._count(answer)
        self._repeats.keep(repeats.repeat(frame, (answer,), (), partial_checksum=False))
        return Output((answer.frame,), (), (answer,))

    def _dhcp(self, part: _Part, packet: Packet) -> Exchange | None:
        known = part.memo.recall(packet)
        if known is not None:
            return known
        answer = server.answer(packet, part.guest)
        if answer is not None:
            part.memo.keep(packet, answer)
        return answer

    def _again(self, known: KnownRequest, now: float) -> Output | None:
        """Answer an RS as before, once a second; the session judges what comes besides."""
        if self._part is None or known.answer.reply != "RA" or now < self._again_at:
            return None
        if not guest_input.settled(self._part.session):
            return None
        self._again_at = now + _BETWEEN_REPEATS
        self._count(known.answer)
        return Output((known.answer.frame,), (), (known.answer,))

    def _see(self, sight: Sight) -> Output:
        self.counters[sight.counted] += 1
        return Output(exchanges=sight.exchanges)

    def _advance(
        self, part: _Part, state: guest_input.State, actions: tuple[guest_input.Action, ...]
    ) -> Output:
        if guest_input.told(state) != guest_input.told(part.session):
            self._repeats.forget_solicitations()
        part.session = state
        output = output_of(actions)
        for exchange in output.exchanges:
            self._count(exchange)
        return output

    def _count(self, exchange: Exchange) -> None:
        if exchange.request:
            self.counters[exchange.request] += 1
        if exchange.reply:
            self.counters[exchange.reply] += 1
        elif exchange.request:
            self.counters["silence"] += 1


def _share(guest: GuestNetwork, ours: frozenset[Family]) -> GuestNetwork:
    """Return the guest with the families that we serve."""
    if 4 not in ours:
        guest = replace(guest, ipv4=(), ipv4_mode="off")
    return guest if 6 in ours else replace(guest, ipv6=(), ipv6_mode="off")
