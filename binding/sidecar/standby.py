"""Stands in for `serve`: sends what was planned, and repeats known answers byte for byte.

A guest that has its leases asks for nothing for hours, and `serve` costs more memory than
everything else. So `serve` leaves when all is quiet, and hands over its packet sockets, the frames
that it would send and when, and its answers to the latest requests. The same request again is
answered with the same frames; nothing of a frame is parsed here. Any other frame is kept for the
next `serve` and starts it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from binding.ipc.handover import Handover, Repeat
from binding.ipc.messages import QueuedFrame
from binding.packet.port import Port, Received
from binding.process.loop import Loop, Timer

_log = logging.getLogger(__name__)

_MOST_REPEATS = 5
"""Repeated requests answered within a second; `serve` judges further ones."""
_MOST_QUEUED = 64
"""Frames kept for the next `serve`; further ones wait in their packet socket."""


class Standby:
    """Acts between two `serve`. Calls `wake` once: for a frame, or when all planned are sent.

    Raises OSError where it cannot wait for frames.
    """

    def __init__(
        self,
        loop: Loop,
        handovers: tuple[Handover, ...],
        ports: Mapping[str, Port],
        wake: Callable[[], None],
        queued: tuple[QueuedFrame, ...] = (),
    ) -> None:
        self._loop = loop
        self._handovers = handovers
        self._ports = dict(ports)
        self._wake: Callable[[], None] | None = wake
        self._timer: Timer | None = None
        self._second, self._answered = 0.0, 0
        self._queued = list(queued)
        self._known: dict[tuple[str, bytes, bool], tuple[Handover, Repeat]] = {
            (one.tap, repeat.request, repeat.partial_checksum): (one, repeat)
            for one in handovers
            for repeat in one.repeats
        }
        try:
            for port in self._ports.values():
                loop.watch(port.socket, partial(self._readable, port))
        except OSError as error:
            _log.warning("cannot wait for frames, starting serve: %s", error)
            self.end()
            raise
        self._plan()

    @property
    def has_called(self) -> bool:
        """Whether it has called `wake`, which it does once."""
        return self._wake is None

    def end(self) -> tuple[tuple[Handover, ...], tuple[QueuedFrame, ...]]:
        """Stop reading the packet sockets; return present handovers and queued frames."""
        self._wake = None
        if self._timer is not None:
            self._timer.cancel()
        for port in self._ports.values():
            self._loop.unwatch(port.socket)
        now = self._loop.now()
        return tuple(one.after(now) for one in self._handovers), tuple(self._queued)

    def _plan(self) -> None:
        times = [one.planned[0].at for one in self._handovers if one.planned]
        if times:
            self._timer = self._loop.at(min(times), self._due)

    def _due(self) -> None:
        now = self._loop.now()
        for one in self._handovers:
            for planned in one.planned:
                if planned.at <= now:
                    self._send(one.tap, planned.tap)
                    self._send(one.nic, planned.nic)
        had_plan = {one.network for one in self._handovers if one.planned}
        self._handovers = tuple(one.after(now) for one in self._handovers)
        if any(not one.planned for one in self._handovers if one.network in had_plan):
            self._call()  # only `serve` can plan further frames
        self._plan()

    def _readable(self, port: Port) -> None:
        for received in port.receive():
            answered = self._answer(port.link, received)
            # Half of the room is left for requests without an answer, however long `serve` may
            # take.
            if answered is None or (answered.wakes and len(self._queued) < _MOST_QUEUED // 2):
                frame, partial = received.frame, received.partial_checksum
                self._queued.append(
                    QueuedFrame(port.link, frame, partial, answered=answered is not None)
                )
                self._call()
            if len(self._queued) >= _MOST_QUEUED:
                self._loop.unwatch(port.socket)
                return

    def _answer(self, link: str, received: Received) -> Repeat | None:
        """Answer a frame that is equal to a known request; return its Repeat."""
        known = self._known.get((link, received.frame, received.partial_checksum))
        if known is None or not self._has_time():
            return None
        handover, repeat = known
        self._send(handover.tap, repeat.tap)
        self._send(handover.nic, repeat.nic)
        return repeat

    def _has_time(self) -> bool:
        now = self._loop.now()
        if now >= self._second + 1:
            self._second, self._answered = now, 0
        self._answered += 1
        return self._answered <= _MOST_REPEATS

    def _call(self) -> None:
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake()

    def _send(self, link: str, frames: tuple[bytes, ...]) -> None:
        for frame in frames:
            if link in self._ports:
                self._ports[link].send(frame)
