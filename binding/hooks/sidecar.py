"""The channel to the sidecar, which does what a hook call asks for."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from binding.hooks.refusal import FailedPrecondition
from binding.ipc import channel, messages
from binding.ipc.codec import build
from binding.process.loop import Future, Loop, within

if TYPE_CHECKING:
    from binding.ipc.snapshot import Snapshot

_log = logging.getLogger(__name__)

_DONE_WITHIN = 60.0


class Sidecar:
    """Messages to the sidecar, and the state that its messages leave here."""

    def __init__(
        self,
        loop: Loop,
        control: socket.socket,
        *,
        on_end: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._control = control
        self._on_end = on_end
        self._is_read = Future[None]()
        self._pod: messages.Pod | None = None
        self._snapshot: Snapshot | None = None
        """That of `_pod`, once a call has needed it."""
        self._number = 0
        self._waiting: dict[int, Future[str]] = {}
        self.on_discover: Callable[[messages.Discover], Coroutine[None, None, None]] | None = None
        loop.watch(control, self._readable)

    def _readable(self) -> None:
        try:
            received = channel.receive(self._control)
        except BlockingIOError:
            return
        if received is None:
            self._loop.unwatch(self._control)
            self._on_end()
            return
        match received[0]:
            case messages.Ask():
                self.say(messages.Alive())
            case messages.Pod() as pod:
                self._pod, self._snapshot = pod, None
                self._is_read.set(None)
            case messages.Defined(number, refusal) if number in self._waiting:
                self._waiting.pop(number).set(refusal)
            case messages.Discover() as asked if self.on_discover is not None:
                self._loop.spawn(self.on_discover(asked))
            case other:
                _log.error("the sidecar sent the unexpected message %s", type(other).__name__)

    async def pod(self) -> tuple[Snapshot, messages.Pod]:
        """Return the pod as the sidecar has read it, and the message with the rest about it."""
        await self._is_read
        assert self._pod is not None
        if self._snapshot is None:
            from binding.ipc.snapshot import Snapshot  # noqa: PLC0415  # behind the greeting

            self._snapshot = build(Snapshot, self._pod.snapshot)
        return self._snapshot, self._pod

    async def define(self, request: messages.Define) -> None:
        """Have the guests wired, guarded and served; the number of the request is set here.

        Raises FailedPrecondition.
        """
        self._number += 1
        self._waiting[self._number] = done = Future[str]()
        if not self.say(request._replace(number=self._number)):
            raise FailedPrecondition("the sidecar does not read; KubeVirt will try again")
        try:
            refusal = await within(self._loop, _DONE_WITHIN, done)
        except TimeoutError:
            text = f"the sidecar has not wired the pod within {_DONE_WITHIN:.0f} s"
            raise FailedPrecondition(text) from None
        if refusal:
            raise FailedPrecondition(refusal)

    def say(self, message: messages.Message) -> bool:
        """Tell the sidecar; False when it does not read."""
        return channel.send(self._control, message)
