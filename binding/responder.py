"""One guest's responder: each frame to the protocol that answers it, and what is counted.

Holds state but does no I/O: frames in, frames out, `now` from outside. serve owns
the sockets and the clock.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from binding.exchange import Exchange
from binding.frame import ICMPV6, Packet, mac_bytes, parse
from binding.guest import GuestNetwork
from binding.memo import Memo
from dhcp import v4, v6
from ra import session


@dataclass(frozen=True, slots=True)
class Output:
    """What to put on the wire after one input, and what to tell the operator."""

    tap: tuple[bytes, ...] = ()
    nic: tuple[bytes, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


class Responder:
    """Answers for one guest. Equal input and state give equal output."""

    def __init__(self, guest: GuestNetwork, now: float) -> None:
        self.guest = guest
        self.counters: Counter[str] = Counter()
        self._session = session.start(guest, now)
        self._memo = Memo()
        self._answers = guest.provider == "in-pod"

    @property
    def router(self) -> session.Router | None:
        """The IPv6 router that the guest is told, once that is decided."""
        return session.router(self._session) if self._answers else None

    @property
    def wake_at(self) -> float | None:
        """When `due` wants to be called."""
        return session.wake_at(self._session) if self._answers else None

    def from_guest(self, frame: bytes, now: float, *, partial_checksum: bool = False) -> Output:
        """Answer a frame that the guest sent into its tap."""
        packet = parse(frame, partial_checksum=partial_checksum)
        if packet is None:
            self.counters["malformed"] += 1
            return Output()
        if not self._answers:
            return self._observe(packet)
        if packet.protocol == ICMPV6:
            return self._advance(*session.from_guest(self._session, self.guest, packet, now))
        answer = self._dhcp(packet)
        if answer is None:
            self.counters["malformed"] += 1
            return Output()
        active = Output()
        if not self._session.active and packet.src_mac == self.guest.mac:
            active = self._advance(*session.from_guest(self._session, self.guest, None, now))
        self._count(answer)
        frames = (answer.frame,) if answer.frame else ()
        return Output(frames + active.tap, active.nic, (answer, *active.exchanges))

    def _dhcp(self, packet: Packet) -> Exchange | None:
        known = self._memo.recall(packet)
        if known is not None:
            return known
        is_v4 = packet.dport == v4.SERVER_PORT
        answer = v4.answer(packet, self.guest) if is_v4 else v6.answer(packet, self.guest)
        if answer is not None:
            self._memo.keep(packet, answer)
        return answer

    def arrived(self, frame: bytes, now: float) -> Output:
        """Take note that a migrated guest now runs here: any frame of its own tells."""
        if not self._answers or frame[6:12] != mac_bytes(self.guest.mac):
            return Output()
        return self._advance(*session.from_guest(self._session, self.guest, None, now))

    def from_network(self, frame: bytes, now: float) -> Output:
        """Learn from a frame that came in on the pod NIC."""
        if not self._answers:
            return Output()
        return self._advance(*session.from_network(self._session, self.guest, frame, now))

    def due(self, now: float) -> Output:
        """Do what the time asks for."""
        return self._advance(*session.due(self._session, self.guest, now))

    def _observe(self, packet: Packet) -> Output:
        kind = "ND" if packet.protocol == ICMPV6 else f"DHCP to port {packet.dport}"
        self.counters[f"{kind} seen"] += 1
        return Output()

    def _advance(self, state: session.State, actions: tuple[session.Action, ...]) -> Output:
        self._session = state
        exchanges = tuple(action for action in actions if isinstance(action, Exchange))
        for exchange in exchanges:
            self._count(exchange)
        return Output(
            tuple(exchange.frame for exchange in exchanges if exchange.frame),
            tuple(action.frame for action in actions if isinstance(action, session.Solicit)),
            exchanges,
        )

    def _count(self, exchange: Exchange) -> None:
        if exchange.request:
            self.counters[exchange.request] += 1
        if exchange.reply:
            self.counters[exchange.reply] += 1
        elif exchange.request:
            self.counters["silence"] += 1
