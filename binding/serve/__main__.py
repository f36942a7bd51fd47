"""The process that reads guest bytes: sockets, clock and loop around binding.serve.responder.

`python -m binding.serve FD`, started by binding.sidecar.supervisor, which holds the other end
of FD. It opens its sockets, hands copies of them to the parent (so that a successor
needs no privilege and loses no frame), gives up every capability and then answers.
It ends when the parent does.
"""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import sys
import time
from collections.abc import Iterable

from binding.ipc import channel
from binding.ipc.codec import decode, encode
from binding.ipc.handover import Notes
from binding.packet import bpf, links
from binding.packet.port import Heard, Port, Received
from binding.process import capabilities
from binding.serve import lean_scapy  # noqa: F401  # lean before what imports scapy
from binding.serve.guest_ports import Served
from binding.serve.responder import Responder
from binding.serve.warm_up import rehearse
from guest.exchange import Exchange
from guest.network import GuestNetwork
from ra.guest_input import State

_BETWEEN_REPORTS = 0.2
"""Seconds; what a killed process has not reported is not counted."""
_PAUSE, _LATEST = 0.02, 1.0
"""Seconds: a report waits for a pause in what the guest asks, but not for ever."""
_QUIET = 8.0
"""Seconds without a frame after which this process leaves its guests to the parent."""


class Server:
    """The loop. One per process."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, None)
        self._ports: dict[str, Port] = {}
        self._served: dict[str, Served] = {}
        self._news: float | None = None
        self._reported = 0.0
        self._heard = 0.0
        self._unrehearsed: list[GuestNetwork] = []

    def run(self) -> None:
        """Serve until the parent closes its end, or until there is nothing to do."""
        channel.send(self._control, {"op": "ready"})
        while True:
            events = self._selector.select(0 if self._unrehearsed else self._timeout())
            if not events and self._unrehearsed:
                rehearse(self._unrehearsed.pop())
            for key, _ in events:
                if key.data is None:
                    if not self._command():
                        return
                else:
                    one, port = key.data
                    self._read(one, port, port.receive())
            now = time.monotonic()
            self._timers(now)
            if self._served and now >= self._heard + _QUIET and self._leave(now):
                return

    def _timeout(self) -> float | None:
        now = time.monotonic()
        wakes = [at for one in self._served.values() if (at := one.responder.wake_at) is not None]
        if self._news is not None:
            wakes.append(self._report_at(self._news))
        if self._served and now < self._heard + _QUIET:
            wakes.append(self._heard + _QUIET)
        return max(0.0, min(wakes) - now) if wakes else None

    def _command(self) -> bool:
        try:
            received = channel.receive(self._control)
        except BlockingIOError:
            return True
        if received is None:
            return False
        message, descriptors = received
        handed = dict(zip(message["sockets"], descriptors, strict=True))
        try:
            self._serve(decode(tuple[GuestNetwork, ...], message["guests"]), handed, message)
        except OSError as error:
            privilege = "NET_RAW" if isinstance(error, PermissionError) else ""
            text = error.strerror or str(error)
            failed = {"op": "failed", "error": text, "link": error.filename, "privilege": privilege}
            channel.send(self._control, failed | {"number": message["number"]})
            return True
        finally:
            for descriptor in handed.values():  # copies of what we have, or of no guest
                os.close(descriptor)
        names, sockets = list(self._ports), [p.socket.fileno() for p in self._ports.values()]
        reply = {"op": "serving", "number": message["number"], "sockets": names}
        channel.send(self._control, reply, sockets)
        self._heard_before(decode(tuple[Heard, ...], message["heard"]))
        if not message["notes"]:  # else the guest has been answered before
            self._unrehearsed = [one.responder.guest for one in self._served.values()]
        return True

    def _heard_before(self, frames: tuple[Heard, ...]) -> None:
        """Take the frames that came while we started."""
        watched = [key.data for key in self._selector.get_map().values() if key.data is not None]
        by_link = {port.link: (one, port) for one, port in watched}
        for each in frames:
            if each.link in by_link:  # it may have gone meanwhile
                one, port = by_link[each.link]
                one.receive(port, each.received, self._heard, answered=each.answered)
                one.responder.excuse()

    def _serve(
        self, guests: tuple[GuestNetwork, ...], handed: dict[str, int], message: channel.Message
    ) -> None:
        """Answer exactly these guests from now on; equal ones keep their state."""
        self._watch({})
        try:
            self._served = {guest.network: self._one(guest, handed, message) for guest in guests}
        finally:
            self._watch(self._served)
        capabilities.drop()
        self._heard = time.monotonic()
        self._news = self._news or self._heard

    def _one(self, guest: GuestNetwork, handed: dict[str, int], message: channel.Message) -> Served:
        before = self._served.get(guest.network)
        events: list[Exchange] = []
        is_new = before is None or before.responder.guest != guest
        if before is not None and not is_new:
            responder, here, events = before.responder, False, before.events
        else:
            responder, resumed, left = _responder(guest, message)
            here = before is not None and before.responder.here
            here = here or (left is not None and left.active and not resumed)
        quiet = guest.migration_target and not (here or responder.here)
        rules = bpf.EVERYTHING if quiet else bpf.program(bpf.GUEST_RULES)
        tap = self._port(guest.tap, rules, handed, guest.tap if quiet else None)
        nic = None
        if guest.nic:
            try:
                nic = self._port(guest.nic, bpf.program(bpf.NETWORK_RULES), handed)
            except FileNotFoundError:
                note = f"no link {guest.nic} in the pod: gateways cannot be resolved"
                if is_new:
                    events.append(Exchange("", note=note, warning=True))
        served = Served(responder, tap, nic, quiet, events)
        if here:
            served.tell(time.monotonic())
        return served

    def _port(
        self,
        link: str,
        rules: tuple[bpf.Instruction, ...],
        handed: dict[str, int],
        place: str | None = None,
    ) -> Port:
        """Return the port of a link, listening at `place`, or where that is cheapest."""
        port = self._ports.pop(link, None)
        if port is None and link in handed:
            port = Port(link, socket.socket(fileno=handed.pop(link)))
        try:
            if port is None:
                port = Port.open(link, rules, place or links.place(link))
            else:
                port.restrict(rules)
                if place or not port.is_bound:
                    port.listen(place or links.place(link))
        except OSError as error:
            kind = FileNotFoundError if error.errno == errno.ENODEV else type(error)
            raise kind(error.errno, error.strerror, link) from error
        self._ports[link] = port
        return port

    def _watch(self, served: dict[str, Served]) -> None:
        """Read at the ports of these guests only; close no port but those of no guest."""
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._selector.unregister(key.fileobj)
        for one in served.values():
            for port in (one.tap, one.nic):
                if port is not None:
                    self._selector.register(port.socket, selectors.EVENT_READ, (one, port))

    def _read(self, one: Served, port: Port, received: Iterable[Received]) -> None:
        for each in received:
            now = time.monotonic()
            if port is one.tap:  # what the network says to itself keeps nobody awake
                self._heard = now
            one.receive(port, each, now)
            self._news = self._news or now

    def _timers(self, now: float) -> None:
        for one in self._served.values():
            if one.due(now):
                self._news = self._news or now
        if self._news is not None and now >= self._report_at(self._news):
            self._report(now)

    def _report_at(self, news: float) -> float:
        """Return when to tell of what is news since then: in a pause, if there is one."""
        paused = max(self._reported + _BETWEEN_REPORTS, self._heard + _PAUSE)
        return min(paused, news + _LATEST)

    def _report(self, now: float) -> None:
        self._reported = now
        guests = [one.report() for one in self._served.values()]
        if channel.send(self._control, {"op": "report", "guests": guests}):
            self._news = None
            for one in self._served.values():
                one.reported()

    def _leave(self, now: float) -> bool:
        """Leave the guests to the parent, with notes, if all of them are quiet."""
        served = self._served.values()
        # As long as no NIC has been heard the guest is about to boot, and shall not wait.
        nobody = not any(one.responder.here for one in served)
        if self._news is not None or nobody:
            return False
        if any(one.quiet or one.responder.notes(now) is None for one in served):
            return False
        for one in served:
            one.listen(now, at_rest=True)
        notes = [one.responder.notes(now) for one in served]
        # A gateway may have moved while we packed.
        if None not in notes and channel.send(
            self._control, {"op": "resting", "notes": encode(notes)}
        ):
            return True
        for one in served:
            one.listen(now, at_rest=False)
        self._heard = now
        return False


def _responder(
    guest: GuestNetwork, message: channel.Message
) -> tuple[Responder, bool, State | None]:
    """Return a responder, whether it goes on where a former one left, and that one's state.

    A guest that is told something else now starts anew.
    """
    now = time.monotonic()
    decided = message["decided"].get(guest.network)
    ours = None if decided is None else frozenset(decided)
    noted = message["notes"].get(guest.network)
    if noted is None:
        return Responder(guest, now, ours), False, None
    notes = decode(Notes, noted)
    state = decode(State, notes.session)
    if guest.network in message["changed"]:
        return Responder(guest, now, ours), False, state
    return Responder(guest, now, ours, state, notes.repeats), True, state


def main() -> None:
    """Entry point of the child."""
    capabilities.hold({"NET_RAW"})
    capabilities.no_new_privs()
    # scapy adds a handler of its own and warns about every odd packet of the guest.
    logging.getLogger("scapy").handlers.clear()
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    Server(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
