"""The loop of `serve`: packet sockets, clock and messages around the guests' responders."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Iterable

from binding.ipc import channel, messages
from binding.packet.port import Port, Received
from binding.process import capabilities
from binding.serve.guest_ports import GuestPorts, TimedExchange, is_request
from binding.serve.open_ports import OpenPorts, PortError
from binding.serve.predecessor import Predecessor
from binding.serve.warm_up import warm_up
from guest.network import GuestNetwork

_BETWEEN_REPORTS = 0.2
"""Seconds between two reports; what a killed `serve` has not reported is not counted."""
_PAUSE, _LATEST = 0.02, 1.0
"""Seconds without a frame before a report, and after which it is sent in any case."""
_QUIET = 8.0
"""Seconds without a frame of a guest after which `serve` leaves its guests to the stand-in."""


class ServeLoop:
    """The program `serve`, one in its process."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, None)
        self._ports = OpenPorts()
        self._guests: dict[str, GuestPorts] = {}
        self._unreported: float | None = None
        """When something happened that the sidecar does not know yet."""
        self._reported = 0.0
        self._last_frame_at = 0.0
        self._to_warm_up: list[GuestNetwork] = []

    def run(self) -> None:
        """Serve until the sidecar closes its end, or until there is nothing to do."""
        channel.send(self._control, messages.Ready())
        while True:
            events = self._selector.select(0 if self._to_warm_up else self._timeout())
            if not events and self._to_warm_up:
                warm_up(self._to_warm_up.pop())
            for key, _ in events:
                if key.data is None:
                    if not self._take_command():
                        return
                else:
                    guest, port = key.data
                    self._read(guest, port, port.receive())
            now = time.monotonic()
            self._timers(now)
            if self._guests and now >= self._last_frame_at + _QUIET and self._leave(now):
                return

    def _timeout(self) -> float | None:
        now = time.monotonic()
        wakes = [at for one in self._guests.values() if (at := one.responder.wake_at) is not None]
        if self._unreported is not None:
            wakes.append(self._report_at(self._unreported))
        if self._guests and now < self._last_frame_at + _QUIET:
            wakes.append(self._last_frame_at + _QUIET)
        return max(0.0, min(wakes) - now) if wakes else None

    def _take_command(self) -> bool:
        """Carry out the next message of the sidecar; False when the sidecar has ended."""
        try:
            received = channel.receive(self._control)
        except BlockingIOError:
            return True
        if received is None:
            return False
        match received:
            case messages.Ask(), _:
                self._report(time.monotonic())
                channel.send(self._control, messages.Alive())
            case messages.Serve() as command, descriptors:
                self._serve(command, dict(zip(command.sockets, descriptors, strict=True)))
        return True

    def _serve(self, command: messages.Serve, handed: dict[str, int]) -> None:
        """Answer exactly these guests from now on; unchanged guests keep their responder."""
        self._watch({})
        try:
            self._guests = {
                one.network: self._guest(one, handed, command) for one in command.guests
            }
        except PortError as error:
            failed = messages.Failed(command.number, error.link, str(error), error.privilege)
            channel.send(self._control, failed)
            return
        finally:
            self._watch(self._guests)
            for descriptor in handed.values():  # copies, or of no guest
                os.close(descriptor)
        capabilities.drop()
        self._last_frame_at = time.monotonic()
        self._unreported = self._unreported or self._last_frame_at
        serving = messages.Serving(command.number, tuple(port.link for port in self._ports))
        channel.send(self._control, serving, [port.socket.fileno() for port in self._ports])
        self._take_queued(command)
        if not command.handovers:  # with handovers, a former `serve` has answered them
            self._to_warm_up = [one.responder.guest for one in self._guests.values()]

    def _take_queued(self, command: messages.Serve) -> None:
        """Take the frames that came in while no `serve` was there.

        At the tap of a guest that was yet to arrive that was every frame, its own traffic too.
        """
        watched = [key.data for key in self._selector.get_map().values() if key.data is not None]
        by_link = {port.link: (guest, port) for guest, port in watched}
        unfiltered = {guest.tap.link for guest in self._guests.values() if guest.is_arriving}
        for one in command.queued:
            if one.link not in by_link:  # it has gone meanwhile
                continue
            guest, port = by_link[one.link]
            received = Received(one.frame, one.partial_checksum)
            if one.link in unfiltered and not guest.is_arriving and not is_request(received):
                continue
            guest.receive(port, received, self._last_frame_at, answered=one.answered)
            if command.handovers:  # else the sockets heard what OVN answered meanwhile
                guest.responder.forget_waits()

    def _guest(
        self, guest: GuestNetwork, handed: dict[str, int], command: messages.Serve
    ) -> GuestPorts:
        before = self._guests.get(guest.network)
        now, events = time.monotonic(), list[TimedExchange]()
        if before is not None and before.responder.guest == guest:
            responder, was_told_else, events = before.responder, False, before.events
        else:
            left = Predecessor.of(guest, command)
            if before is not None:
                left = left.in_this_process(before.responder)
            responder, was_told_else = left.responder(now), left.was_told_else
        is_arriving = guest.migration_target and not (was_told_else or responder.is_here)
        tap, nic = self._ports.of(guest, handed, is_arriving=is_arriving)
        found = GuestPorts(responder, tap, nic, is_arriving, events)
        if was_told_else:
            found.appear(now)
        return found

    def _watch(self, guests: dict[str, GuestPorts]) -> None:
        """Read at the ports of these guests only."""
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._selector.unregister(key.fileobj)
        for one in guests.values():
            for port in (one.tap, one.nic):
                if port is not None:
                    self._selector.register(port.socket, selectors.EVENT_READ, (one, port))

    def _read(self, guest: GuestPorts, port: Port, received: Iterable[Received]) -> None:
        for one in received:
            now = time.monotonic()
            if port is guest.tap:  # frames of the network do not keep `serve` from leaving
                self._last_frame_at = now
            guest.receive(port, one, now)
            self._unreported = self._unreported or now

    def _timers(self, now: float) -> None:
        for one in self._guests.values():
            if one.due(now):
                self._unreported = self._unreported or now
        if self._unreported is not None and now >= self._report_at(self._unreported):
            self._report(now)

    def _report_at(self, since: float) -> float:
        """Return when to report what happened then: in a pause, if there is one."""
        paused = max(self._reported + _BETWEEN_REPORTS, self._last_frame_at + _PAUSE)
        return min(paused, since + _LATEST)

    def _report(self, now: float) -> None:
        self._reported = now
        report = messages.Report(tuple(one.report() for one in self._guests.values()))
        if channel.send(self._control, report):
            self._unreported = None
            for one in self._guests.values():
                one.reported()

    def _leave(self, now: float) -> bool:
        """Leave the guests to the stand-in, if nothing is under way with any of them."""
        guests = self._guests.values()
        # Before the first frame of any guest one may be booting, and must not wait for a start.
        if self._unreported is not None or not any(one.responder.is_here for one in guests):
            return False
        if any(one.is_arriving or one.responder.handover(now) is None for one in guests):
            return False
        for one in guests:
            one.listen(now, at_rest=True)
        # A gateway may have moved while the filters changed.
        handovers = [one.responder.handover(now) for one in guests]
        whole = tuple(one for one in handovers if one is not None)
        if len(whole) == len(handovers) and channel.send(self._control, messages.Resting(whole)):
            return True
        for one in guests:
            one.listen(now, at_rest=False)
        self._last_frame_at = now
        return False
