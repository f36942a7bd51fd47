"""One guest's responder: finds out who serves it, then passes frames to its Service.

Holds state but does no I/O: frames in, frames out, `now` (monotonic seconds) from outside.
serve.loop owns the clock, serve.guest_ports the sockets.
"""

from __future__ import annotations

from collections import Counter, deque

from binding.ipc.codec import plain
from binding.ipc.handover import Handover, Repeat
from binding.serve import other_servers
from binding.serve.output import NOTHING, Output, earliest
from binding.serve.service import Service
from binding.serve.solicitations import GuestFrame
from binding.serve.who_serves import Choice
from guest.ethernet import ETH_ARP
from guest.exchange import Exchange
from guest.frame import Packet, parse
from guest.network import Family, GuestNetwork
from ra import guest_input
from ra.state import State

_ARP = ETH_ARP.to_bytes(2, "big")
_MOST_HELD = 8
"""Requests kept until it is known who serves the guest; clients repeat the others."""


class Responder:
    """Answers for one guest. Equal input and state give equal output.

    `decided` are the families that we serve, where `provider: auto` has found that out before;
    `resumed` is the ra_state of a former process, `known` what that could repeat.
    """

    def __init__(
        self,
        guest: GuestNetwork,
        now: float,
        decided: frozenset[Family] | None = None,
        resumed: State | None = None,
        known: tuple[Repeat, ...] = (),
    ) -> None:
        self._other_mac = ""
        self.guest = guest
        self.counters: Counter[str] = Counter()
        self.is_here = False
        """Whether the guest has been heard."""
        self._choice = Choice(guest, now, decided)
        self.service: Service | None = None
        """Serves the guest; None while it is being found out who does."""
        self._held: deque[GuestFrame] = deque(maxlen=_MOST_HELD)
        self._former: tuple[GuestNetwork, State] | None = None
        self._begin_if_known(now)
        if resumed is not None and self.service is not None:
            self.service.resume(resumed, known)
            self.is_here = resumed.active

    def follow(self, former: GuestNetwork, left: State) -> None:
        """Go on from the RA state `left` of a guest that had the GuestNetwork `former`."""
        if self.service is None:
            self._former = former, left
        else:
            self.service.follow(former, left)

    @property
    def wake_at(self) -> float | None:
        """When `due` must be called (monotonic seconds)."""
        return earliest(self._choice.wake_at, self.service.wake_at if self.service else None)

    def from_guest(self, frame: bytes, now: float, *, partial_checksum: bool = False) -> Output:
        """Answer a frame that the guest sent into its tap."""
        service = self.service
        if service is not None:
            again = service.sent_again(frame, now, partial_checksum=partial_checksum)
            if again is not None:
                return again
        if frame[12:14] == _ARP:
            return service.arp(frame) if service else NOTHING
        packet = parse(frame, partial_checksum=partial_checksum)
        if packet is None:
            self.counters["malformed"] += 1
            wrong = "its lengths or its checksum are wrong"
            return Output(exchanges=(Exchange("malformed", note=wrong),))
        if packet.src_mac == self.guest.mac:
            self.is_here = True
            self._choice.begin(now)
            self._choice.from_guest(packet)
        self._name_other_mac(packet)
        begun = self._begin_if_known(now)
        asked = GuestFrame(packet, frame, partial_checksum)
        if self.service is None:
            self._held.append(asked)
            return begun
        return begun + self.service.from_guest(asked, now)

    def from_network(self, frame: bytes, now: float, *, partial_checksum: bool = False) -> Output:
        """Learn from a frame that came in on the pod NIC."""
        packet = parse(frame, partial_checksum=partial_checksum)
        told = other_servers.read(packet, self.guest.mac) if packet else None
        if self.service is not None:
            return self.service.from_network(frame, told, now)
        if told:
            self._choice.from_network(told)
        return self._begin_if_known(now)

    def sends_to(self, mac: str, now: float) -> Output:
        """Take note of the MAC of the router that a migrated guest sends to."""
        return self.service.sends_to(mac, now) if self.service else NOTHING

    def appear(self, now: float) -> Output:
        """Take note that the guest is there, whatever it was told so far."""
        self.is_here = True
        self._choice.begin(now)
        begun = self._begin_if_known(now)
        return begun + self.service.appear(now) if self.service else begun

    def due(self, now: float) -> Output:
        """Do what is due by now."""
        output = Output(nic=self._choice.due(now)) + self._begin_if_known(now)
        return output + self.service.due(now) if self.service else output

    def forget_waits(self) -> None:
        """Do not warn about a missing answer to a request sent before this process listened."""
        if self.service is not None:
            self.service.others.forget_waits()

    def handover(self, now: float) -> Handover | None:
        """Return what a stand-in needs while all is quiet; None as long as it is not."""
        service = self.service
        if service is None:
            return None
        ra_state = service.ra_state
        if not ra_state.active and (
            self.guest.migration_target or guest_input.wake_at(ra_state) is not None
        ):
            return None  # what the guest is sent first depends on what its gateways answer
        planned = service.planned(now)
        if planned is None:
            return None
        links = self.guest.network, self.guest.tap, self.guest.nic
        return Handover(*links, plain(ra_state), planned, service.repeats)

    def _name_other_mac(self, packet: Packet) -> None:
        """Warn of requests from another MAC: a changed guest, or a machine behind it."""
        other = "" if packet.src_mac == self.guest.mac else packet.src_mac
        if other:
            self.counters["other MAC"] += 1
        service = self.service
        if other == self._other_mac or service is None or packet.src.version not in service.ours:
            return
        self._other_mac = other
        text = (
            f"a request comes from another MAC, {other}, and is not answered: this NIC has "
            f"{self.guest.mac}; give the guest that MAC again, or set macAddress in the VMI; a "
            "machine that the guest bridges gets none of the pod's addresses"
        )
        service.others.findings["MAC"] = text if other else ""

    def _begin_if_known(self, now: float) -> Output:
        """Begin to serve what is ours, as soon as that is known or if it has changed."""
        ours = self._choice.ours
        if ours is None or (self.service is not None and ours == self.service.ours):
            return NOTHING
        self.service = Service(self.guest, ours, self.counters, now)
        if self._former is not None:
            self.service.follow(*self._former)
            self._former = None
        output = self.service.appear(now) if self.is_here else NOTHING
        while self._held:
            output += self.service.from_guest(self._held.popleft(), now)
        return output
