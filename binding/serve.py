"""The process that reads guest bytes: sockets, clock and loop around binding.responder.

`python -m binding.serve FD`, started by binding.supervisor, which holds the other end
of FD. It opens its sockets, hands copies of them to the parent (so that a successor
needs no privilege and loses no frame), gives up every capability and then answers.
It ends when the parent does.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict

from binding import bpf, caps, channel, lean  # noqa: F401  # lean before what imports scapy
from binding.codec import decode
from binding.exchange import Exchange
from binding.guest import Family, GuestNetwork
from binding.port import Port
from binding.responder import Output, Responder

_BETWEEN_REPORTS = 0.2
"""Seconds; what a killed process has not reported is not counted."""
_EVENTS_PER_REPORT = 20
"""A flooding guest fills its counters, not the node's disk."""


Decided = Mapping[str, frozenset[Family]]
"""By network the families that we serve, where `provider: auto` has found that out before."""


class _Served:
    """One guest with its two ports."""

    def __init__(
        self,
        responder: Responder,
        tap: Port,
        nic: Port | None,
        events: list[Exchange],
        *,
        quiet: bool,
    ) -> None:
        self.responder = responder
        self.tap = tap
        self.nic = nic
        self.events = events
        self.quiet = quiet
        """Arriving by migration: the filter still passes everything, to see the first frame."""


class Server:
    """The loop. One per process."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, None)
        self._ports: dict[str, Port] = {}
        self._served: dict[str, _Served] = {}
        self._dirty = False
        self._reported = 0.0

    def run(self) -> None:
        """Serve until the parent closes its end."""
        channel.send(self._control, {"op": "ready"})
        while True:
            for key, _ in self._selector.select(self._timeout()):
                if key.data is None:
                    if not self._command():
                        return
                else:
                    self._read(*key.data)
            self._timers()

    def _timeout(self) -> float | None:
        wakes = [at for one in self._served.values() if (at := one.responder.wake_at) is not None]
        if self._dirty:
            wakes.append(self._reported + _BETWEEN_REPORTS)
        return max(0.0, min(wakes) - time.monotonic()) if wakes else None

    def _command(self) -> bool:
        try:
            received = channel.receive(self._control)
        except BlockingIOError:
            return True
        if received is None:
            return False
        message, descriptors = received
        handed = dict(zip(message["sockets"], descriptors, strict=True))
        guests = decode(tuple[GuestNetwork, ...], message["guests"])
        decided = {name: frozenset(ours) for name, ours in message["decided"].items()}
        try:
            self._serve(guests, handed, decided)
        except OSError as error:
            privilege = "NET_RAW" if isinstance(error, PermissionError) else ""
            text = error.strerror or str(error)
            reply = {"op": "failed", "error": text, "link": error.filename, "privilege": privilege}
            channel.send(self._control, reply)
        else:
            names, sockets = list(self._ports), [p.socket.fileno() for p in self._ports.values()]
            channel.send(self._control, {"op": "serving", "sockets": names}, sockets)
        return True

    def _serve(
        self, guests: tuple[GuestNetwork, ...], handed: dict[str, int], decided: Decided
    ) -> None:
        """Answer exactly these guests from now on; equal ones keep their state."""
        self._watch({})
        try:
            self._served = {guest.network: self._one(guest, handed, decided) for guest in guests}
        finally:
            self._watch(self._served)
        caps.drop()
        self._dirty = True

    def _one(self, guest: GuestNetwork, handed: dict[str, int], decided: Decided) -> _Served:
        rules = bpf.EVERYTHING if guest.migration_target else bpf.program(bpf.GUEST_RULES)
        tap = self._port(guest.tap, rules, handed)
        nic = None
        missing: list[Exchange] = []
        if guest.nic:
            try:
                nic = self._port(guest.nic, bpf.program(bpf.NETWORK_RULES), handed)
            except FileNotFoundError:
                note = f"no link {guest.nic} in the pod: gateways cannot be resolved"
                missing.append(Exchange("", note=note, warning=True))
        before = self._served.get(guest.network)
        if before is not None and before.responder.guest == guest:
            return _Served(before.responder, tap, nic, before.events, quiet=before.quiet)
        responder = Responder(guest, time.monotonic(), decided.get(guest.network))
        return _Served(responder, tap, nic, missing, quiet=guest.migration_target)

    def _port(self, link: str, rules: tuple[bpf.Instruction, ...], handed: dict[str, int]) -> Port:
        port = self._ports.pop(link, None)
        if port is None and link in handed:
            port = Port(link, socket.socket(fileno=handed[link]))
        if port is not None and port.is_bound:
            port.restrict(rules)
        else:
            try:
                port = Port.open(link, rules)
            except OSError as error:
                kind = FileNotFoundError if error.errno == errno.ENODEV else type(error)
                raise kind(error.errno, error.strerror, link) from error
        self._ports[link] = port
        return port

    def _watch(self, served: dict[str, _Served]) -> None:
        """Read at the ports of these guests only; close no port but those of no guest."""
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._selector.unregister(key.fileobj)
        for one in served.values():
            for port in (one.tap, one.nic):
                if port is not None:
                    self._selector.register(port.socket, selectors.EVENT_READ, (one, port))

    def _read(self, one: _Served, port: Port) -> None:
        for received in port.receive():
            now = time.monotonic()
            if port is not one.tap:
                self._put(
                    one,
                    one.responder.from_network(
                        received.frame, now, partial_checksum=received.partial_checksum
                    ),
                )
                continue
            if one.quiet:
                one.quiet = False
                port.restrict(bpf.program(bpf.GUEST_RULES))
                self._put(one, one.responder.arrived(received.frame, now))
            self._put(
                one,
                one.responder.from_guest(
                    received.frame, now, partial_checksum=received.partial_checksum
                ),
            )

    def _timers(self) -> None:
        now = time.monotonic()
        for one in self._served.values():
            if (at := one.responder.wake_at) is not None and at <= now:
                self._put(one, one.responder.due(now))
        if self._dirty and now >= self._reported + _BETWEEN_REPORTS:
            self._report(now)

    def _put(self, one: _Served, output: Output) -> None:
        for frame in output.tap:
            if not one.tap.send(frame):
                one.responder.counters["unsent"] += 1
        for frame in output.nic:
            if one.nic is not None:
                one.nic.send(frame)
        room = _EVENTS_PER_REPORT - len(one.events)
        one.events += output.exchanges[: max(room, 0)]
        self._dirty = True

    def _report(self, now: float) -> None:
        """Tell the parent what is new: counters as increments, so that restarts add up."""
        guests = []
        for network, one in self._served.items():
            router, serves = one.responder.router, one.responder.serves
            guests.append(
                {
                    "network": network,
                    "counters": dict(one.responder.counters),
                    "serves": None if serves is None else sorted(serves),
                    "findings": dict(one.responder.findings),
                    "router": router and {k: v and str(v) for k, v in asdict(router).items()},
                    "events": [
                        {
                            "request": event.request,
                            "reply": event.reply,
                            "note": event.note,
                            "warning": event.warning,
                        }
                        for event in one.events
                    ],
                }
            )
        self._reported = now
        if channel.send(self._control, {"op": "report", "guests": guests}):
            self._dirty = False
            for one in self._served.values():
                one.responder.counters.clear()
                one.responder.findings.clear()
                one.events.clear()


def main() -> None:
    """Entry point of the child."""
    caps.hold({"NET_RAW"})
    caps.no_new_privs()
    # scapy adds a handler of its own and warns about every odd packet of the guest.
    logging.getLogger("scapy").handlers.clear()
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    Server(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
