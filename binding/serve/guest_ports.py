"""One guest in `serve`: its responder, its two ports, and the events to report."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple

from binding.ipc.about import RouterStatus
from binding.ipc.codec import plain
from binding.ipc.messages import Event, GuestReport
from binding.packet import address_owner, bpf, guard
from binding.packet.address_owner import AddressOwner
from binding.packet.port import Port, Received
from binding.serve import client_words
from binding.serve.output import Output
from binding.serve.responder import Responder
from guest.ethernet import DHCP4_SERVER, DHCP6_SERVER, mac_bytes, mac_text
from guest.exchange import Exchange
from guest.frame import parse, routed6
from guest.network import Family

_ASKED = (0, DHCP4_SERVER, DHCP6_SERVER)
"""UDP ports of requests; ICMPv6 has no ports."""
_FULL_SOCKET = 8
"""Reads, of Port.BATCH frames each, that empty a full packet socket."""
_MOST_OWNERS = 8
_MOST_ROUTERS = 3
"""Whose MACs are learned from the frames of a guest that has arrived."""
_MOST_REASONS = 16
_DIGITS = frozenset("0123456789")
_MOST_EVENTS = 20
"""Between two reports: a flooding guest fills its counters, not the node's disk."""


class TimedExchange(NamedTuple):
    """An exchange that is to be reported."""

    exchange: Exchange
    at: float
    """Monotonic seconds."""
    client: dict[str, str] = {}  # noqa: RUF012  # nobody changes it
    """What the client says of itself."""


@dataclass(slots=True)
class GuestPorts:
    """Frames of the two ports to the responder, and its frames to the ports."""

    responder: Responder
    tap: Port
    nic: Port | None
    is_arriving: bool
    """The guest has yet to arrive: the tap's filter passes every frame, to see its first."""
    events: list[TimedExchange] = field(default_factory=list)
    """What came of each frame."""
    other_owners: set[AddressOwner] = field(default_factory=set)
    """Other hosts that say on the pod network that they have an address of the guest."""
    routers: list[str] = field(default_factory=list)
    """MACs to which a guest that has arrived sends what is for other links."""
    silences: Counter[str] = field(default_factory=Counter)
    """Requests without an answer, by `REQUEST: reason`."""

    def receive(
        self, port: Port, received: Received, now: float, *, answered: bool = False
    ) -> None:
        """Take a frame of either port; one that the stand-in has answered is only counted."""
        frame, partial = received.frame, received.partial_checksum
        if port is not self.tap:
            self._look_for_another_host(frame, now)
            self._put(self.responder.from_network(frame, now, partial_checksum=partial))
            return
        if self.is_arriving:
            self._first(received, now)
            return
        if self._learn_router(frame, now) and not is_request(received):
            return
        output = self.responder.from_guest(frame, now, partial_checksum=partial)
        if answered:
            output = output.without_replies()
        self._put(output, frame)

    def _look_for_another_host(self, frame: bytes, now: float) -> None:
        """Say once for each address and MAC that another host has an address of the guest."""
        owner = address_owner.read(frame)
        guest = self.responder.guest
        if owner is None or owner.mac == guest.mac or len(self.other_owners) >= _MOST_OWNERS:
            return
        if owner.address in guest.addresses and owner not in self.other_owners:
            self.other_owners.add(owner)
            note = f"another host has the guest's address {owner.address}: {owner.mac}"
            exchange = Exchange("", note=note, warning="duplicate-address")
            self.events.append(TimedExchange(exchange, now))

    def _first(self, received: Received, now: float) -> None:
        """Take a frame of any kind, maybe the guest's first."""
        if received.frame[6:12] != mac_bytes(self.responder.guest.mac):
            return  # from a machine behind the guest, which itself is not here yet
        self.is_arriving = False
        self._hear_router()
        self.appear(now)
        # Frames queued behind this one passed the former filter, as whatever waited for `serve`.
        behind = (each for _ in range(_FULL_SOCKET) for each in self.tap.receive())
        for each in chain((received,), behind):
            if is_request(each):
                self.receive(self.tap, each, now)
            else:
                self._learn_router(each.frame, now)

    def _hear_router(self) -> None:
        """Filter for messages, and for one frame to a router whose MAC is not known yet.

        That shows which router a guest still uses that has just arrived. At rest nothing shows it.
        """
        guest = self.responder.guest
        rules = bpf.guest_rules(guard.parties(guest))
        if guest.gets_ipv6 and len(self.routers) < _MOST_ROUTERS:
            on_link = (one.network for one in guest.ipv6)
            rules = (*rules, *bpf.used_router_rules(guest.mac, on_link, self.routers))
        self.tap.restrict(bpf.program(rules))

    def _learn_router(self, frame: bytes, now: float) -> bool:
        """Learn from a frame to another link which router is used; say whether it is one."""
        guest = self.responder.guest
        if not guest.migration_target or frame[6:12] != mac_bytes(guest.mac):
            return False
        to = routed6(frame)
        if to is None or any(to in one.network for one in guest.ipv6):
            return False
        mac = mac_text(frame[:6])
        if mac not in self.routers and len(self.routers) < _MOST_ROUTERS:
            self.routers.append(mac)
            self._hear_router()
            self._put(self.responder.sends_to(mac, now))
        return True

    def appear(self, now: float) -> None:
        """Take note that the guest is there, and send it what it has not been told."""
        self._put(self.responder.appear(now))

    def due(self, now: float) -> bool:
        """Do what is due by now; say whether anything was."""
        at = self.responder.wake_at
        if at is None or at > now:
            return False
        self._put(self.responder.due(now))
        return True

    def listen(self, now: float, *, at_rest: bool) -> None:
        """Filter for all messages while `serve` runs, at rest for those that must start `serve`."""
        guest, service = self.responder.guest, self.responder.service
        who, rules, silent = guard.parties(guest), bpf.NETWORK_RULES, frozenset[Family]()
        if at_rest and service is not None:
            silent = service.silent
            if service.router is not None:
                who = replace(who, router=service.router.address)
            own = ((address, guest.mac) for address in guest.addresses[:_MOST_OWNERS])
            moves = bpf.change_rules((*service.gateways, *own))
            rules = (*moves, *bpf.answer_rules(guest.mac))
            rogues = service.others.rogue_macs
            if 6 in service.ours and len(rogues) < _MOST_OWNERS:
                rules += bpf.router_rules(sorted(rogues))
        self.tap.restrict(bpf.program(bpf.guest_rules(who, silent)))
        if at_rest:
            # The first frame of a guest that arrives by migration was heard at the tap itself.
            self.tap.move_to_listening_bridge()
        if self.nic is None:
            return
        self.nic.restrict(bpf.program(rules))
        for received in self.nic.receive():  # queued under the former filter
            self.receive(self.nic, received, now)

    def report(self) -> GuestReport:
        """Return what is new since `reported`: counters as increments, so that restarts add up."""
        now, clock = time.monotonic(), time.time()
        responder, service = self.responder, self.responder.service
        report = GuestReport(
            network=responder.guest.network,
            counters=dict(responder.counters),
            events=tuple(
                Event(said.request, said.reply, said.note, said.warning, clock - now + at, client)
                for said, at, client in self.events
            ),
            silences=dict(self.silences),
        )
        if service is None:
            return report
        router = service.router
        return report._replace(
            serves=tuple(sorted(service.ours)),
            findings=dict(service.others.findings),
            ra_state=plain(service.ra_state),
            router=(
                None
                if router is None
                else RouterStatus(str(router.address), router.lladdr, router.source)
            ),
            repeats=service.repeats,
            gateways={str(address): mac for address, mac in service.gateways},
        )

    def reported(self) -> None:
        """Forget what the sidecar has received."""
        self.responder.counters.clear()
        if self.responder.service is not None:
            self.responder.service.others.findings.clear()
        self.events.clear()
        self.silences.clear()

    def _put(self, output: Output, asked: bytes = b"") -> None:
        for frame in output.tap:
            if not self.tap.send(frame):
                self.responder.counters["unsent"] += 1
        for frame in output.nic:
            if self.nic is not None:
                self.nic.send(frame)
        for one in output.exchanges:
            if one.request and not one.reply:
                self.silences[self._reason(one)] += 1
        room = max(_MOST_EVENTS - len(self.events), 0)
        for one in output.exchanges[:room]:
            client = client_words.read(asked) if asked and one.request else {}
            self.events.append(TimedExchange(one, time.monotonic(), client))

    def _reason(self, silence: Exchange) -> str:
        """Return why there was no answer, without the addresses in the note: a metric's label."""
        words = (word for word in silence.note.partition(",")[0].split() if not set(word) & _DIGITS)
        reason = f"{silence.request}: {' '.join(words) or 'no reason given'}"
        known = reason in self.silences or len(self.silences) < _MOST_REASONS
        return reason if known else f"{silence.request}: other reasons"


def is_request(received: Received) -> bool:
    """Whether the filter of a guest that is here may have passed a frame."""
    packet = parse(received.frame, partial_checksum=received.partial_checksum)
    return packet is not None and packet.dport in _ASKED
