"""Serves one guest in the families that are ours, and watches over the others.

Holds state but does no I/O: packets in, frames out, `now` (monotonic seconds) from outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from binding.ipc.codec import plain
from binding.ipc.handover import Planned, Repeat
from binding.serve import other_servers
from binding.serve.answers import Answer, Answers
from binding.serve.output import NOTHING, Output, earliest, output_of
from binding.serve.ovn_watch import OvnWatch, Seen
from binding.serve.sent_again import SentAgain
from binding.serve.solicitations import GuestFrame, Solicitations, Solicited
from binding.serve.who_serves import BOTH
from dhcp import v4
from guest.ethernet import ICMPV6
from guest.frame import Packet
from guest.network import OUR_IPV4, OUR_MAC, Address, Family, GuestNetwork
from ra import arp, guest_input, network_input
from ra.gateway import Router
from ra.state import Outcome, State

_MOST_REPEATS = 16
_MOST_STEPS = 8
_QUIET = 1.0
"""Seconds: `serve` leaves only if the next RA is at least so far away."""


class Service:
    """Serves one guest in the families `ours`; the counters are its responder's."""

    def __init__(
        self, guest: GuestNetwork, ours: frozenset[Family], counters: Counter[str], now: float
    ) -> None:
        self.ours = ours
        self.others = OvnWatch(guest, BOTH - ours)
        """Watches the families that others serve."""
        self.guest = _share(guest, ours)
        self._arp_for = _arp_for(self.guest)
        self._counters = counters
        self._answers = Answers(self.guest)
        self._sent = SentAgain()
        self._solicitations = Solicitations(self.guest, self._answers, now)
        self._before: tuple[Repeat, ...] = ()
        self._basis_before: tuple[object, ...] = ()

    def resume(self, ra_state: State, repeats: tuple[Repeat, ...]) -> None:
        """Go on where a former process left, and repeat what that could repeat."""
        self._solicitations.ra_state = ra_state
        self._before, self._basis_before = repeats, self._solicitations.basis

    def follow(self, former: GuestNetwork, left: State) -> None:
        """End what the guest was told as `former`, as soon as it is there."""
        state = guest_input.follow(self.ra_state, self.guest, former, left)
        self._solicitations.ra_state = state

    @property
    def ra_state(self) -> State:
        """What the guest was told by RA, and what is known of its gateways."""
        return self._solicitations.ra_state

    @property
    def router(self) -> Router | None:
        """The IPv6 router that the guest is told by us, once that is decided."""
        return guest_input.router(self.ra_state) if 6 in self.ours else None

    @property
    def gateways(self) -> tuple[tuple[Address, str], ...]:
        """Gateways and router with the MACs that the guest relies on: a change must be noticed."""
        return guest_input.gateways(self.ra_state)

    @property
    def wake_at(self) -> float | None:
        """When `due` must be called (monotonic seconds)."""
        return earliest(self._solicitations.wake_at, self.others.wake_at)

    @property
    def silent(self) -> frozenset[Family]:
        """The families whose DHCP requests get silence, whatever they say.

        Clients repeat them for ever, each time with other seconds: at rest nothing listens to them.
        """
        guest = self.guest
        no_ipv4 = guest.ipv4_mode == "off" or (not guest.ipv4 and guest.ipv6_only is None)
        silent = {4: no_ipv4, 6: guest.ipv6_mode == "off"}
        return frozenset(family for family in self.ours if silent[family])

    def sent_again(self, frame: bytes, now: float, *, partial_checksum: bool) -> Output | None:
        """Answer a request that was answered before, without reading it."""
        if not self.ra_state.active:
            return None
        found = self._sent.find(frame, partial_checksum=partial_checksum)
        if found is not None:
            return self._answered(*found, frame, partial_checksum=partial_checksum)
        known = self._solicitations.sent_again(frame, now, partial_checksum=partial_checksum)
        if known is not None:
            return self._answered(known, b"", frame, partial_checksum=partial_checksum)
        return None

    def from_guest(self, guest_frame: GuestFrame, now: float) -> Output:
        """Answer a request of the guest."""
        packet, frame, partial_checksum = guest_frame
        if packet.src.version not in self.ours:
            return self._see(self.others.from_guest(packet, now)) + self._appear(packet, now)
        if packet.protocol == ICMPV6:
            return self._counted(self._solicitations.answer(guest_frame, now))
        found = self._answers.dhcp(packet)
        if found is None:
            self._counters["malformed"] += 1
            return NOTHING
        answer, transaction = found
        if transaction:  # else the answer is for this request only
            self._sent.keep(frame, answer)
        output = self._answered(answer, transaction, frame, partial_checksum=partial_checksum)
        return output + self._appear(packet, now)

    def arp(self, frame: bytes) -> Output:
        """Answer for the pod's permanent neighbours, and for a server address that is ours."""
        exchange = arp.answer(frame, self.guest.mac, self._arp_for)
        if not exchange:
            return NOTHING
        answer = Answer(exchange)
        self._answers.keep(frame, answer)
        return self._answered(answer, b"", frame, partial_checksum=False)

    def from_network(
        self, frame: bytes, told: other_servers.ServerMessage | None, now: float
    ) -> Output:
        """Learn from a frame that came in on the pod NIC, and from what it tells the guest."""
        seen = self._see(self.others.from_network(told, now)) if told else NOTHING
        return seen + self._take(network_input.from_network(self.ra_state, self.guest, frame, now))

    def sends_to(self, mac: str, now: float) -> Output:
        """Take note of the MAC of the router that the guest sends to."""
        return self._take(guest_input.sends_to(self.ra_state, self.guest, mac, now))

    def appear(self, now: float) -> Output:
        """Take note that the guest is there."""
        if self.ra_state.active:
            return NOTHING
        return self._take(guest_input.from_guest(self.ra_state, self.guest, None, now))

    def due(self, now: float) -> Output:
        """Do what is due by now."""
        self.others.due(now)
        return self._take(guest_input.due(self.ra_state, self.guest, now))

    def planned(self, now: float) -> tuple[Planned, ...] | None:
        """Return the RAs that go out without any input; None as long as something is under way."""
        if self.others.wake_at or self.others.findings:
            return None
        planned: list[Planned] = []
        state = self.ra_state
        while len(planned) < _MOST_STEPS and (at := guest_input.wake_at(state)) is not None:
            if at < now + _QUIET:
                return None
            state, actions = guest_input.due(state, self.guest, at)
            output = output_of(actions)
            planned.append(Planned(at, output.tap, output.nic, plain(state)))
        return tuple(planned)

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """The guest's latest requests, each with the frames that answer it if it comes again."""
        basis = self._solicitations.basis
        latest = [
            _repeat(answer)
            for key, answer in self._answers.latest()
            if not isinstance(key, Solicited) or key.basis == basis
        ]
        before = self._before if basis == self._basis_before else ()
        known = {(one.request, one.partial_checksum): one for one in (*before, *latest)}
        ahead = (one for one in self._ahead() if (one.request, one.partial_checksum) not in known)
        return (*ahead, *known.values())[-_MOST_REPEATS:]

    def _ahead(self) -> Iterator[Repeat]:
        """Yield answers to ARP requests that may come first at rest, such as that of T1's unicast.

        The guest's kernel asks thrice, a second apart, and a new `serve` may take longer than that.
        """
        for address in self._arp_for:
            if address.version == 4 and self.guest.ipv4:
                asked = arp.request(self.guest.mac, self.guest.ipv4[0].ip, address)
                exchange = arp.answer(asked, self.guest.mac, self._arp_for)
                if exchange:
                    yield _repeat(Answer(exchange, request=asked))

    def _answered(
        self, answer: Answer, transaction: bytes, frame: bytes, *, partial_checksum: bool
    ) -> Output:
        output = answer.output(transaction)
        if not answer.exchange.warning:  # each one is reported
            self._answers.asked(answer, frame, transaction, partial_checksum=partial_checksum)
        return self._counted(output)

    def _appear(self, packet: Packet, now: float) -> Output:
        return self.appear(now) if packet.src_mac == self.guest.mac else NOTHING

    def _see(self, seen: Seen) -> Output:
        self._counters[seen.counted] += 1
        return Output(exchanges=seen.exchanges)

    def _take(self, step: Outcome) -> Output:
        return self._counted(self._solicitations.take(step))

    def _counted(self, output: Output) -> Output:
        for exchange in output.exchanges:
            if exchange.request:
                self._counters[exchange.request] += 1
            if exchange.reply:
                self._counters[exchange.reply] += 1
            elif exchange.request:
                self._counters["silence"] += 1
        return output


def _repeat(answer: Answer) -> Repeat:
    output = answer.output(answer.transaction)
    # The guest verifies its gateways (NS, NA, ARP) for as long as it sends anything; ARP for the
    # server's address is followed by a renewal.
    is_gateway = answer.exchange.reply == "ARP reply" and answer.request[38:42] != OUR_IPV4.packed
    wakes = answer.exchange.reply not in ("", "NA") and not is_gateway
    return Repeat(answer.request, answer.partial_checksum, output.tap, answer.nic, wakes)


def _arp_for(guest: GuestNetwork) -> dict[Address, str]:
    """Return the addresses for which `serve` answers ARP, with their MACs."""
    known = dict(guest.permanent_neighbors)
    if address := v4.own_address(guest):  # T1's unicast goes there
        known[address] = OUR_MAC
    return known


def _share(guest: GuestNetwork, ours: frozenset[Family]) -> GuestNetwork:
    """Return the guest with the families that we serve."""
    permanent = tuple(one for one in guest.permanent_neighbors if one[0].version in ours)
    guest = replace(guest, permanent_neighbors=permanent)
    if 4 not in ours:
        guest = replace(guest, ipv4=(), ipv4_mode="off")
    return guest if 6 in ours else replace(guest, ipv6=(), ipv6_mode="off")
