"""A child program: `hooks` or `serve`, its phase, its messages and its signs of life.

A child that is not ready or does not answer in time is killed. Its owner learns of its end by
`on_end`, and decides whether another is started.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum

from binding.ipc import channel
from binding.ipc.messages import Alive, Ask, Message
from binding.process import memory
from binding.process.loop import Future, Loop, Timer, within
from binding.process.progress import EVERY
from binding.process.spawn import Process, ending
from binding.sidecar.start_watch import StartWatch

_log = logging.getLogger(__name__)

_ENDS_WITHIN = 1.0
"""Seconds from the end of a child's messages to the end of its process."""
_LEAVES_WITHIN = 3.0
"""Seconds from the word of a child that it leaves to the end of its messages."""
_AWAITED = 2.0
"""Seconds for which `gone` waits."""


class Phase(Enum):
    """What a child is doing."""

    ABSENT = "absent"
    STARTING = "starting"
    RUNNING = "running"
    LEAVING = "leaving"
    HUNG = "hung"


class Change(Enum):
    """What happens to a child."""

    STARTED = "started"
    READY = "ready"
    LEAVES = "leaves"
    SILENT = "silent"
    ENDED = "ended"


_LIVING = (Phase.STARTING, Phase.RUNNING, Phase.LEAVING)
TRANSITIONS: dict[tuple[Phase, Change], Phase] = {
    (Phase.ABSENT, Change.STARTED): Phase.STARTING,
    (Phase.STARTING, Change.READY): Phase.RUNNING,
    (Phase.STARTING, Change.LEAVES): Phase.LEAVING,
    (Phase.RUNNING, Change.LEAVES): Phase.LEAVING,
    **{(phase, Change.SILENT): Phase.HUNG for phase in _LIVING},
    **{(phase, Change.ENDED): Phase.ABSENT for phase in (*_LIVING, Phase.HUNG)},
}
"""A change that is not here says nothing in that phase and is ignored."""


class Child:
    """One program at a time, started again whenever its owner says so."""

    def __init__(  # noqa: PLR0913  # what makes one child differ from another
        self,
        loop: Loop,
        module: str,
        *,
        on_message: Callable[[Message, list[int]], object],
        on_end: Callable[[Phase, str], object],
        ready_within: float,
        answers_within: float,
        asked_every: float,
    ) -> None:
        self._loop = loop
        self._module = module
        self._on_message = on_message
        self._on_end = on_end
        self._start_watch = StartWatch(ready_within)
        self._answers_within = answers_within
        self._asked_every = asked_every
        self._process: Process | None = None
        self._control: socket.socket | None = None
        self._asked_at: float | None = None
        self._next_look: Timer | None = None
        self._began, self._why = 0.0, ""
        self._alive = Future[None]()
        self.phase = Phase.ABSENT
        self.restarts = 0
        """Ends that were not of the program's own will."""
        self.last_end = ""
        """How the latest such end came."""
        self.last_end_at = 0.0
        """Time of the latest such end, in seconds since the epoch."""

    @property
    def pid(self) -> int | None:
        """Process id of the child, None without one."""
        return self._process.pid if self._process else None

    @property
    def is_there(self) -> bool:
        """Whether the child has a process, in any phase."""
        return self.phase is not Phase.ABSENT

    @property
    def age(self) -> float:
        """Seconds since the latest start."""
        return self._loop.now() - self._began

    def start(self, *words: str, descriptors: Sequence[int] = ()) -> None:
        """Start the program with the number of its control socket, then `words`, as arguments.

        Raises OSError where the node is short of what that takes.
        """
        ours, theirs = channel.pair()
        with theirs:
            try:
                self._loop.watch(ours, self._readable)  # if this fails, no child is started
                number = theirs.fileno()
                keep = (number, *descriptors)
                self._process = Process(self._module, (str(number), *words), keep=keep)
            except OSError:
                self._loop.unwatch(ours)
                ours.close()
                raise
        self._control = ours
        self._start_watch.begin(self._process.pid)
        self._began, self._asked_at, self._why = self._loop.now(), None, ""
        self.change(Change.STARTED)
        self._look_in(EVERY)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> bool:
        """Send a message; False when the child is gone or does not read."""
        return self._control is not None and channel.send(self._control, message, descriptors)

    def change(self, change: Change) -> None:
        """Follow the table of transitions; a child that leaves is killed where it stays."""
        self.phase = TRANSITIONS.get((self.phase, change), self.phase)
        if change is Change.LEAVES:
            self._look_in(_LEAVES_WITHIN)

    def ask(self) -> None:
        """Ask for a sign of life, if no question is open."""
        if self.phase is Phase.RUNNING and self._asked_at is None and self.send(Ask()):
            self._asked_at = self._loop.now()
            self._look_in(self._answers_within)

    async def gone(self) -> None:
        """Wait for the end of a child that leaves, a moment at most."""
        until = self._loop.now() + _AWAITED
        while self.is_there and self._loop.now() < until:
            await self._loop.sleep(0.02)

    async def refresh(self, seconds: float) -> None:
        """Have a running child report what it has not reported, and wait for it so long."""
        if self.phase is not Phase.RUNNING:
            return
        self._alive = alive = Future[None]()
        self.ask()
        with suppress(TimeoutError):
            await within(self._loop, seconds, alive)

    def kill(self) -> None:
        if self._process is not None:
            self.change(Change.SILENT)
            self._process.kill()

    def end(self) -> None:
        """Close the control socket, at which every child leaves; kill the one that does not."""
        if self.is_there:
            self.change(Change.LEAVES)
            self._hang_up()

    def _readable(self) -> None:
        assert self._control is not None
        try:
            received = channel.receive(self._control)
            if received is None:
                self._hang_up()
                return
            self._hear(*received)
        except BlockingIOError:
            return
        except (ValueError, OverflowError, LookupError) as error:  # such as a time of no clock
            _log.error("%s sent a message that cannot be read: %s", self._module, error)
            self.kill()

    def _hear(self, message: Message, descriptors: list[int]) -> None:
        if isinstance(message, Alive):
            self._asked_at = None
            self._start_watch.succeed()
            self._alive.set(None)
        else:
            self._on_message(message, descriptors)

    def _look_in(self, seconds: float) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
        self._next_look = self._loop.after(seconds, self._look)

    def _look(self) -> None:
        """Kill a child that is not ready, or has not answered, in time; else ask it again."""
        if self.phase is Phase.STARTING:
            if stuck := self._start_watch.look(self.age):
                self._give_up(stuck)
            else:
                self._look_in(EVERY)
        elif self.phase is Phase.LEAVING:
            self._give_up(f"it said that it leaves, and was there {_LEAVES_WITHIN:.0f} s later")
        elif self.phase is Phase.RUNNING:
            waited = 0.0 if self._asked_at is None else self._loop.now() - self._asked_at
            if self._answers_within <= waited < 2 * self._answers_within:
                self._give_up(f"it had not answered for {waited:.1f} s")
                return
            self._asked_at = None  # after longer than that: the sidecar itself did not run either
            self.ask()
            if self._asked_at is None:
                self._look_in(self._asked_every)

    def _give_up(self, why: str) -> None:
        self._why = why
        _log.error("%s is killed: %s", self._module, why)
        self.kill()

    def note_ready(self) -> None:
        """Take note that the child has done its imports: from now on ask it for signs of life."""
        self.change(Change.READY)
        self._look_in(self._asked_every)

    def _hang_up(self) -> None:
        if self._control is not None:
            self._loop.unwatch(self._control)
            self._control.close()
            self._control = None
            self._reap(self._loop.now() + _ENDS_WITHIN)

    def _reap(self, until: float) -> None:
        assert self._process is not None
        status = self._process.poll()
        if status is None:
            if self._loop.now() >= until:
                self._process.kill()
            self._loop.after(0.02, lambda: self._reap(until))
            return
        if self._next_look is not None:
            self._next_look.cancel()
        self._process = None
        phase, how = self.phase, ending(status)
        self.change(Change.ENDED)
        if phase is not Phase.LEAVING:
            self.restarts += 1
            how = f"{how}: {self._why}" if self._why else how
            self.last_end, self.last_end_at = how, time.time()
        self._on_end(phase, how)
        memory.give_back()  # what its messages have left behind stays small while all rest
