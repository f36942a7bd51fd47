"""Starts `hooks` at a connection to the hook socket, and carries out KubeVirt's calls."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable

from binding.ipc import messages
from binding.process.loop import Future, Loop
from binding.sidecar.child import Change, Child, Phase
from binding.sidecar.early_ends import EarlyEnds
from binding.sidecar.reconciler import Reconciler

_log = logging.getLogger(__name__)

_READY_WITHIN = 30.0
_ANSWERS_WITHIN = 10.0
_ASKED_EVERY = 10.0
_SLOWEST_START = 5.0
SUPERSEDED = "the pod has changed meanwhile, and was found anew; try again"
"""Answers a `discover` that another one has overtaken."""


class HooksChild:
    """At most one `hooks`, on demand."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        reconciler: Reconciler,
        *words: str,
        on_ended: Callable[[], object],
        on_lost: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._words = words
        self._reconciler = reconciler
        self._on_ended = on_ended
        self._on_lost = on_lost
        self._pod: str | None = None
        self._early_ends = EarlyEnds()
        self._discover: messages.Discover | None = None
        """What `hooks` is to find out and has not answered yet."""
        self._discovered = Future[str]()
        self._number = 0
        self.child = Child(
            loop,
            "binding.hooks",
            on_message=self._take,
            on_end=self._gone,
            ready_within=_READY_WITHIN,
            answers_within=_ANSWERS_WITHIN,
            asked_every=_ASKED_EVERY,
        )

    def start(self) -> None:
        """Start `hooks` now, later if the node is short of what that takes."""
        self._loop.unwatch(self._listener)
        if self.child.is_there:
            return
        try:
            number = self._listener.fileno()
            self.child.start(str(number), *self._words, descriptors=[number])
        except OSError as error:
            _log.warning("cannot start hooks, retrying in %.0f s: %s", _SLOWEST_START, error)
            self._loop.after(_SLOWEST_START, self.start)

    def pod_read(self, snapshot: str) -> None:
        """Let `hooks` know the pod as it has been read."""
        self._pod = snapshot
        self._send_pod()

    def discover(self, vmi: str, domain: str, settings: dict[str, str]) -> Future[str]:
        """Have `hooks` discover the guests again: pod or settings have changed.

        The future's result is empty once these guests are served, else why they cannot be.
        """
        self._number += 1
        self._discovered.set(SUPERSEDED)
        self._discovered = discovered = Future[str]()
        self._discover = messages.Discover(self._number, vmi, domain, settings)
        if self.child.phase is Phase.RUNNING:
            self._send_discover()
        else:
            self.start()
        return discovered

    def _answered(self, number: int, refusal: str) -> None:
        if self._discover is not None and number == self._discover.number:
            self._discover = None
            self._discovered.set(refusal)

    def _take(self, message: messages.Message, _: list[int]) -> None:
        match message:
            case messages.Ready():
                self.child.note_ready()
                self._send_pod()
                self._send_discover()
            case messages.Define():
                self._loop.spawn(self._define(message))
            case messages.Refused(reason):
                self._reconciler.pages.called(reason)
            case messages.Undiscovered(number, reason):
                self._answered(number, reason)
            case messages.Collected():
                if self._reconciler.pages.last_call is None:
                    self._reconciler.serve.prepare()
            case messages.Leaving():
                self.child.change(Change.LEAVES)
            case messages.Ended():
                self._on_ended()
            case messages.Lost():
                self._on_lost()
            case _:
                _log.error("hooks sent the unexpected message %s", type(message).__name__)

    async def _define(self, request: messages.Define) -> None:
        asked_by = self.child.pid
        try:
            refusal = await self._reconciler.define(request)
        except Exception as error:  # noqa: BLE001  # a bug of ours must not leave virt-launcher without an answer
            _log.exception("a hook call failed for a reason of our own")
            refusal = f"{type(error).__name__}: {error}"
        self._send_pod()  # now with the taps that plumb made
        if self.child.pid == asked_by:  # the next `hooks` counts from 1, too
            self.child.send(messages.Defined(request.number, refusal))
        self._answered(request.discovery, refusal)

    def _send_pod(self) -> None:
        if self._pod is not None:
            pod, settings = json.loads(self._pod), self._reconciler.desired.settings
            links = self._reconciler.plugs.links(self._reconciler.desired)
            self.child.send(messages.Pod(pod, self._reconciler.wired, settings, links))

    def _send_discover(self) -> None:
        if self._discover is not None:
            self.child.send(self._discover)

    def _gone(self, phase: Phase, how: str) -> None:
        pause = 0.0
        if phase is not Phase.LEAVING:
            pause = self._early_ends.pause(self.child.age)
            _log.error("hooks ended (%s), the next connection starts it again", how)
        # A connection that `hooks` has not accepted waits in the listening socket.
        self._loop.after(pause, self._wait)

    def _wait(self) -> None:
        if self._discover is not None:
            self.start()
        elif not self.child.is_there:
            try:
                self._loop.watch(self._listener, self.start)
            except OSError as error:
                _log.warning("cannot wait for hook calls, starting hooks: %s", error)
                self.start()
