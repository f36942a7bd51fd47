"""While nobody serves: the sockets, what can be said without thinking, and when to wake.

A guest that has its leases asks for nothing for hours, and `serve` costs more memory
than all the rest. So it leaves when all is quiet, with notes: its state, the frames
that it would send and when (a session is pure, so its future can be computed), and its
answers to what this guest has asked. Who asks that again is answered at once; whoever
asks for more than its router's MAC, or for anything else, also wakes a successor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from binding.ipc.handover import Notes
from binding.ipc.repeats import Repeat
from binding.packet.port import Heard, Port, Received

_MOST_REPEATS = 5
"""Repeated requests answered within a second; more than that is for `serve` to judge."""
_MOST_HEARD = 64
"""Frames that wait for the successor; the next ones wait in their socket."""


class Rest:
    """Stands in for `serve`, until `end`. Calls `wake` once when somebody is needed."""

    def __init__(
        self, notes: tuple[Notes, ...], ports: dict[str, Port], wake: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._notes = notes
        self._ports = ports
        self._wake: Callable[[], None] | None = wake
        self._timer: asyncio.TimerHandle | None = None
        self._second, self._repeats = 0.0, 0
        self._heard: list[Heard] = []
        for port in ports.values():
            self._loop.add_reader(port.socket, self._readable, port)
        self._sleep()

    def end(self) -> tuple[tuple[Notes, ...], tuple[Heard, ...]]:
        """Leave the sockets to somebody else; return the notes as they stand, and what came."""
        self._wake = None
        if self._timer is not None:
            self._timer.cancel()
        for port in self._ports.values():
            self._loop.remove_reader(port.socket)
        now = self._loop.time()
        return tuple(note.after(now) for note in self._notes), tuple(self._heard)

    def _sleep(self) -> None:
        times = [note.steps[0].at for note in self._notes if note.steps]
        # A plan that runs out needs somebody to make the next one.
        if times:
            self._timer = self._loop.call_at(min(times), self._due)

    def _due(self) -> None:
        now = self._loop.time()
        for note in self._notes:
            for step in note.steps:
                if step.at <= now:
                    self._send(note.tap, step.tap)
                    self._send(note.nic, step.nic)
        had_plan = [note.network for note in self._notes if note.steps]
        self._notes = tuple(note.after(now) for note in self._notes)
        if any(not note.steps for note in self._notes if note.network in had_plan):
            self._call()
        self._sleep()

    def _readable(self, port: Port) -> None:
        for received in port.receive():
            known = self._known(port.link, received)
            if known is not None:
                note, repeat, reply = known
                self._send(note.tap, (reply,))
                self._send(note.nic, repeat.nic)
            # Room is left for what is not answered, however long a successor may take.
            if known is None or (repeat.tells and len(self._heard) < _MOST_HEARD // 2):
                self._heard.append(Heard(port.link, received, answered=known is not None))
                self._call()
            if len(self._heard) >= _MOST_HEARD:
                self._loop.remove_reader(port.socket)
                return

    def _known(self, link: str, received: Received) -> tuple[Notes, Repeat, bytes] | None:
        frame, partial = received.frame, received.partial_checksum
        for note in self._notes:
            for repeat in note.repeats if note.tap == link else ():
                reply = repeat.reply(frame, partial_checksum=partial)
                if reply is not None:
                    return (note, repeat, reply) if self._has_time() else None
        return None

    def _has_time(self) -> bool:
        now = self._loop.time()
        if now >= self._second + 1:
            self._second, self._repeats = now, 0
        self._repeats += 1
        return self._repeats <= _MOST_REPEATS

    def _call(self) -> None:
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake()

    def _send(self, link: str, frames: tuple[bytes, ...]) -> None:
        for frame in frames:
            if link in self._ports:
                self._ports[link].send(frame)
