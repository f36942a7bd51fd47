"""The event loop of sidecar and hooks: descriptors, timers and coroutines, without asyncio (4 MiB).

One thread. A callback or coroutine that fails is logged and costs nobody else anything: the program
ends only when somebody calls `stop`, because a hook sidecar that ended is never started again.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import selectors
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar

_log = logging.getLogger(__name__)

T = TypeVar("T")
_MANY_TIMERS = 64
_PAUSE = 0.1
"""Seconds after a failure of the loop itself, which may come again at once."""


class Timer:
    """A call at a later time, unless `cancel` comes first."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """Forget the call."""
        self.call = None


class Future(Generic[T]):
    """A result that somebody awaits. The first result or error counts, later ones are ignored."""

    def __init__(self) -> None:
        self.done = False
        self._result: T
        self._error: BaseException | None = None
        self._waiting: list[Callable[[], object]] = []

    def set(self, result: T) -> None:
        """Give those who await the future its result."""
        if not self.done:
            self._result = result
            self._finish()

    def fail(self, error: BaseException) -> None:
        """Raise the error in those who await the future."""
        if not self.done:
            self._error = error
            self._finish()

    def result(self) -> T:
        """Return the result, or raise the error, of a future that is done."""
        if self._error is not None:
            raise self._error
        return self._result

    def when_done(self, call: Callable[[], object]) -> None:
        """Call this once the future is done, at once if it is."""
        if self.done:
            call()
        else:
            self._waiting.append(call)

    def _finish(self) -> None:
        self.done = True
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def __await__(self) -> Generator[Future[T], None, T]:
        """Suspend the coroutine that awaits until the future is done."""
        if not self.done:
            yield self
        return self.result()


class Lock:
    """Lets one coroutine at a time into an `async with`, in the order in which they asked."""

    def __init__(self) -> None:
        self._last: Future[None] | None = None
        self._held: list[Future[None]] = []

    async def __aenter__(self) -> None:
        before, mine = self._last, Future[None]()
        self._last = mine
        if before is not None:
            await before
        self._held.append(mine)

    async def __aexit__(self, *_: object) -> None:
        self._held.pop().set(None)


class Loop:
    """Descriptors, timers and coroutines of one process."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = itertools.count()
        self._stopped = False
        self._signal_sockets: tuple[socket.socket, ...] = ()

    @staticmethod
    def now() -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def watch(self, readable: socket.socket | int, call: Callable[[], object]) -> None:
        """Call this, and nothing else, whenever the descriptor has something to read."""
        self._watch(readable, selectors.EVENT_READ, call)

    def watch_room(self, writable: socket.socket | int, call: Callable[[], object]) -> None:
        """Call this, and nothing else, as long as the descriptor has room to write."""
        self._watch(writable, selectors.EVENT_WRITE, call)

    def _watch(self, watched: socket.socket | int, event: int, call: Callable[[], object]) -> None:
        try:
            self._selector.modify(watched, event, call)
        except KeyError:
            self._selector.register(watched, event, call)

    def unwatch(self, watched: socket.socket | int) -> None:
        """Forget a descriptor; call it before the descriptor is closed."""
        with suppress(KeyError, ValueError):
            self._selector.unregister(watched)

    def at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call this at a monotonic time."""
        timer = Timer(call)
        if len(self._timers) > _MANY_TIMERS:  # cancelled ones must not pile up until their time
            self._timers = [one for one in self._timers if one[2].call is not None]
            heapq.heapify(self._timers)
        heapq.heappush(self._timers, (when, next(self._serial), timer))
        return timer

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        return self.at(self.now() + seconds, call)

    async def sleep(self, seconds: float) -> None:
        """Suspend the coroutine that awaits."""
        future = Future[None]()
        self.after(seconds, lambda: future.set(None))
        await future

    def spawn(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; its future has what it returns. An error nobody awaits is logged."""
        result = Future[T]()
        self._advance(work, result)
        return result

    def _advance(self, work: Coroutine[Any, Any, T], result: Future[T]) -> None:
        try:
            awaited: Future[Any] = work.send(None)
        except StopIteration as end:
            result.set(end.value)
        except Exception as error:  # noqa: BLE001  # it is raised again where the result is awaited
            if not result._waiting:  # noqa: SLF001  # of this module
                self._failed("a task failed")
            result.fail(error)
        else:
            awaited.when_done(lambda: self._advance(work, result))

    def stop(self) -> None:
        """Let `run` return once the present callbacks are done."""
        self._stopped = True

    def on_signals(self, numbers: tuple[int, ...], call: Callable[[int], object]) -> None:
        """Call this in the loop with the number of each of these signals."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.settimeout(0)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda *_: None)

        def signalled() -> None:
            for number in ours.recv(64):
                call(number)

        self._signal_sockets = ours, theirs  # closed, the kernel could not write to them
        self.watch(ours, signalled)

    def run(self) -> None:
        """Serve descriptors and timers until `stop`."""
        while not self._stopped:
            try:
                self._turn()
            except Exception:  # noqa: BLE001  # want of memory between two callbacks, mostly
                self._failed("the loop failed, it goes on")
                time.sleep(_PAUSE)

    def run_while(self, is_wanted: Callable[[], bool], seconds: float) -> None:
        """Serve them a little longer, as long as that is wanted."""
        until = self.now() + seconds
        while is_wanted() and self.now() < until:
            self.after(0.02, lambda: None)
            self._turn()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._timeout()):
            # A callback of this turn may have closed the descriptor, or given it to another.
            if self._selector.get_map().get(key.fd) is key:
                self._guarded(key.data)
        self._due()

    def _timeout(self) -> float | None:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self.now()) if self._timers else None

    def _due(self) -> None:
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                self._guarded(timer.call)

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001  # a bug, or want of memory, must not end the program
            self._failed("a callback failed")

    @staticmethod
    def _failed(what: str) -> None:
        """Log the present exception, if there is memory for that."""
        with suppress(Exception):
            _log.exception(what)


async def within(loop: Loop, seconds: float, work: Future[T]) -> T:
    """Await the future, at most so long. Raises TimeoutError; the work itself goes on."""
    both = Future[None]()
    timer = loop.after(seconds, lambda: both.set(None))
    work.when_done(lambda: both.set(None))
    await both
    timer.cancel()
    if not work.done:
        raise TimeoutError
    return work.result()
