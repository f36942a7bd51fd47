"""While nobody serves: the sockets, what can be said without thinking, and when to wake.

A guest that has its leases asks for nothing for hours, and `serve` costs more memory
than all the rest. So it leaves when all is quiet, with notes: its state, the frames
that it would send and when (a session is pure, so its future can be computed), and its
answers to the requests that a guest repeats to the byte. Any other frame wakes a
successor. No byte of a guest is looked into here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from binding.notes import Notes, Repeat
from binding.port import Port, Received

_MOST_REPEATS = 5
"""Repeated requests answered within a second; more than that is for `serve` to judge."""


class Rest:
    """Stands in for `serve`. Wakes by calling `wake` once, with the frame that did it."""

    def __init__(
        self,
        notes: tuple[Notes, ...],
        ports: dict[str, Port],
        wake: Callable[[tuple[tuple[str, Received], ...]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._notes = notes
        self._ports = ports
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None
        self._second, self._repeats = 0.0, 0
        for port in ports.values():
            self._loop.add_reader(port.socket, self._readable, port)
        self._sleep()

    def end(self) -> tuple[Notes, ...]:
        """Leave the sockets to somebody else; return the notes as they stand."""
        if self._timer is not None:
            self._timer.cancel()
        for port in self._ports.values():
            self._loop.remove_reader(port.socket)
        now = self._loop.time()
        return tuple(note.after(now) for note in self._notes)

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
                    self._send(note, step.tap, step.nic)
        had_plan = [note.network for note in self._notes if note.steps]
        self._notes = tuple(note.after(now) for note in self._notes)
        if any(not note.steps for note in self._notes if note.network in had_plan):
            self._wake(())
        else:
            self._sleep()

    def _readable(self, port: Port) -> None:
        for received in port.receive():
            repeat = self._repeat(port.link, received.frame)
            if repeat is None:
                self._wake(((port.link, received),))
                return
            note, known = repeat
            self._send(note, known.tap, known.nic)

    def _repeat(self, link: str, frame: bytes) -> tuple[Notes, Repeat] | None:
        for note in self._notes:
            for known in note.repeats:
                if note.tap == link and known.request == frame:
                    return (note, known) if self._has_time() else None
        return None

    def _has_time(self) -> bool:
        now = self._loop.time()
        if now >= self._second + 1:
            self._second, self._repeats = now, 0
        self._repeats += 1
        return self._repeats <= _MOST_REPEATS

    def _send(self, note: Notes, tap: tuple[bytes, ...], nic: tuple[bytes, ...]) -> None:
        for link, frames in ((note.tap, tap), (note.nic, nic)):
            for frame in frames:
                if link in self._ports:
                    self._ports[link].send(frame)
