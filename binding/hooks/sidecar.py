"""The channel to the sidecar, which does what a hook call asks for."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from binding.discover.guests import Discovery
from binding.hooks.refusal import FailedPrecondition
from binding.ipc import channel, messages
from binding.ipc.codec import build
from binding.ipc.snapshot import Snapshot

_log = logging.getLogger(__name__)

_DONE_WITHIN = 60.0


class Sidecar:
    """What hooks says to the sidecar, and learns from it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._pod: asyncio.Future[None] | None = None
        self._snapshot: Snapshot | None = None
        self._said: messages.Pod | None = None
        self._number = 0
        self._waiting: dict[int, asyncio.Future[str]] = {}
        self.asked_to_leave = asyncio.Event()
        self.on_discover: Callable[[messages.Discover], Awaitable[None]] | None = None

    async def run(self) -> None:
        """Read what the sidecar says until it closes the channel."""
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Future[None]] = set()
        while True:
            await self._readable(loop)
            try:
                received = channel.receive(self._control)
            except BlockingIOError:
                continue
            if received is None:
                return
            match received[0]:
                case messages.Ask():
                    self.say(messages.Alive())
                case messages.Pod() as pod:
                    self._said, self._snapshot = pod, None
                    if self._pod is not None:
                        self._pod.set_result(None)
                        self._pod = None
                case messages.Leave():
                    self.asked_to_leave.set()
                case messages.Defined(number, refusal) if number in self._waiting:
                    self._waiting.pop(number).set_result(refusal)
                case messages.Discover() as asked if self.on_discover is not None:
                    task = asyncio.ensure_future(self.on_discover(asked))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                case other:
                    _log.error("the sidecar sends %s, which is not for us", type(other).__name__)

    async def _readable(self, loop: asyncio.AbstractEventLoop) -> None:
        heard = loop.create_future()

        def readable() -> None:
            loop.remove_reader(self._control)
            heard.set_result(None)

        loop.add_reader(self._control, readable)
        await heard

    async def pod(self) -> tuple[Snapshot, tuple[str, ...]]:
        """Return the pod as the sidecar has read it, and the taps that were made for it."""
        while self._said is None:
            if self._pod is None:
                self._pod = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._pod)
        if self._snapshot is None:
            self._snapshot = build(Snapshot, self._said.snapshot)
        return self._snapshot, self._said.wired

    async def define(
        self, found: Discovery, vmi: bytes, domain: bytes, instance: messages.Instance
    ) -> None:
        """Have the guests wired, guarded and served. Raises FailedPrecondition."""
        self._number += 1
        self._waiting[self._number] = done = asyncio.get_running_loop().create_future()
        request = messages.Define(
            number=self._number,
            guests=found.guests,
            wirings=found.wirings,
            warnings=found.warnings,
            vmi=vmi.decode(),
            domain=domain.decode(),
            instance=instance,
        )
        if not self.say(request):
            raise FailedPrecondition("the sidecar does not read; KubeVirt will try again")
        try:
            async with asyncio.timeout(_DONE_WITHIN):
                refusal = await done
        except TimeoutError:
            text = f"the sidecar has not wired the pod within {_DONE_WITHIN:.0f} s"
            raise FailedPrecondition(text) from None
        if refusal:
            raise FailedPrecondition(refusal)

    def say(self, message: messages.Message) -> bool:
        """Tell the sidecar; False when it does not read."""
        return channel.send(self._control, message)
