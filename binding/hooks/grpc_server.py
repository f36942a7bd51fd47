"""Accepts at the hook socket and answers the gRPC calls of each connection."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from binding.hooks.http2 import INTERNAL, UNIMPLEMENTED, Connection, GrpcRequest
from binding.hooks.refusal import Refusal
from binding.process.loop import Loop

_log = logging.getLogger(__name__)

Method = Callable[[bytes], Awaitable[bytes]]
"""From the octets of a request to those of its answer. Raises Refusal."""

_LONGEST_IDLE = 300.0
"""Seconds without a call after which a caller that stays connected is told to connect anew."""
_MOST = 128
"""Connections at a time; for another, one without a call under way is closed, the oldest first."""
_SPOKEN = 2.0
"""Seconds by which a connection that has sent anything counts as younger."""
_AT_ONCE = 16
"""Connections accepted before the open ones are read again."""
_MOST_HELD = 16 * 2**20
"""Octets of the requests and answers of all connections; beyond, the one with most is closed."""
_CHUNK = 16_384
"""Octets read of one connection before the next one has its turn."""


class _Caller:
    """One accepted connection."""

    def __init__(self, client: socket.socket, now: float) -> None:
        self.client = client
        self.http2 = Connection()
        self.latest = now
        """When it connected or last sent anything, in monotonic seconds."""
        self.has_spoken = False
        self.has_called = False

    def worth(self) -> tuple[bool, float]:
        """Return the key by which connections are closed for another, the least first."""
        return self.http2.is_working, self.latest + (_SPOKEN if self.has_spoken else 0.0)


class GrpcServer:
    """The connections of the hook socket. `find` returns the method of a path, if there is one."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        find: Callable[[str], Method | None],
        *,
        on_lost: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._find = find
        self._on_lost = on_lost
        self._callers: dict[_Caller, None] = {}
        self._latest = loop.now()
        listener.settimeout(0)
        loop.watch(listener, self._accept_some)

    @property
    def is_busy(self) -> bool:
        """Whether the answer of a call has not gone out."""
        return any(one.http2.is_busy or one.http2.output for one in self._callers)

    def idle(self) -> float | None:
        """Return for how many seconds nobody has been connected, None if somebody is."""
        now = self._loop.now()
        for one in list(self._callers):
            if now - one.latest > _LONGEST_IDLE and not one.http2.is_working:
                one.http2.close()
                self._send(one)
                self._hang_up(one)  # also where the caller does not read the GOAWAY
        return None if self._callers else now - self._latest

    def close(self) -> None:
        """Accept no further connection; calls under way go on."""
        self._loop.unwatch(self._listener)

    def _accept_some(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, _ = self._listener.accept()
            except OSError:  # nobody waits, or no descriptor is left: the caller calls again
                return
            self._accept(client)

    def _accept(self, client: socket.socket) -> None:
        client.settimeout(0)
        if len(self._callers) >= _MOST:
            self._hang_up(min(self._callers, key=_Caller.worth))
        caller = _Caller(client, self._loop.now())
        self._callers[caller] = None
        self._loop.watch(client, partial(self._readable, caller))
        self._send(caller)  # virt-launcher waits 2 s for our SETTINGS
        self._readable(caller)  # else accepting the next one might close it as silent

    def _readable(self, caller: _Caller) -> None:
        try:
            data = caller.client.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(caller)
            return
        caller.has_spoken, caller.latest = True, self._loop.now()
        for request in caller.http2.receive(data):
            method = self._find(request.path)
            if method is None:
                text = f"there is no method {request.path:.200}"
                caller.http2.refuse(request, UNIMPLEMENTED, text)
            else:
                caller.has_called = True
                self._loop.spawn(self._call(caller, request, method))
        self._send(caller)

    async def _call(self, caller: _Caller, request: GrpcRequest, method: Method) -> None:
        try:
            caller.http2.respond(request, await method(request.message))
        except Refusal as refusal:
            _log.error("refused: %s", refusal)
            caller.http2.refuse(request, refusal.status, str(refusal))
        except Exception as error:  # noqa: BLE001  # a bug of ours must not leave the VM without an answer
            _log.exception("a hook call failed for a reason of our own")
            caller.http2.refuse(request, INTERNAL, f"{type(error).__name__}: {error}")
        self._send(caller)

    def _send(self, caller: _Caller) -> None:
        """Send the output of a connection; until all has gone out, nothing is read from it."""
        if sum(one.http2.held for one in self._callers) > _MOST_HELD:
            self._hang_up(max(self._callers, key=lambda one: one.http2.held))
        if caller not in self._callers:
            return
        output = caller.http2.output
        try:
            while output:
                del output[: caller.client.send(output)]
        except BlockingIOError:
            self._loop.watch_room(caller.client, partial(self._send, caller))
            return
        except OSError:
            self._hang_up(caller)
            return
        if caller.http2.is_over:
            self._hang_up(caller)
        else:
            self._loop.watch(caller.client, partial(self._readable, caller))

    def _hang_up(self, caller: _Caller) -> None:
        if caller not in self._callers:  # sending to it has failed before it was read, say
            return
        del self._callers[caller]
        self._loop.unwatch(caller.client)
        caller.client.close()
        self._latest = self._loop.now()
        if not caller.has_called:
            self._on_lost()
