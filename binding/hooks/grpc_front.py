"""Accepts at the hook socket and carries each connection to the gRPC server's own socket.

gRPC cannot take over a listening socket, and the sidecar keeps the one at which virt-launcher's
connection waits while this program starts.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import grpc

_log = logging.getLogger(__name__)

_OPTIONS = (("grpc.max_connection_idle_ms", 300_000), ("grpc.so_reuseport", 0))
"""A caller that stays connected without a call for 5 minutes is told to connect anew."""
_MOST = 48
"""Connections at a time; beyond, those that have never said anything have to make room."""
_CHUNK = 65_536
_GRACE = 2.0


class _Connection:
    """One accepted connection."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.has_spoken = False
        self.task: asyncio.Future[None] | None = None


class GrpcFront:
    """The gRPC server and the connections to it. `answered` counts calls that got their answer."""

    def __init__(
        self,
        listener: socket.socket,
        inner: str,
        handler: grpc.GenericRpcHandler,
        *,
        on_lost: Callable[[], object],
    ) -> None:
        self._listener = listener
        self._inner = inner
        self._on_lost = on_lost
        self._server = grpc.aio.server(options=_OPTIONS, interceptors=(_Counter(self),))
        self._server.add_generic_rpc_handlers((handler,))
        self._connections: dict[_Connection, None] = {}
        self._latest = time.monotonic()
        self.answered = 0

    async def start(self) -> None:
        """Start the gRPC server, then accept."""
        self._server.add_insecure_port(f"unix:{self._inner}")
        await self._server.start()
        self._listener.settimeout(0)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def is_alone(self, asked: asyncio.Event) -> None:
        """Return as soon as nobody is connected, once that is asked for."""
        await asked.wait()
        await self.idle(0.0)

    async def idle(self, seconds: float) -> None:
        """Return once nobody has been connected for so long."""
        while (left := self._latest + seconds - time.monotonic()) > 0 or self._connections:
            if self._connections:
                self._latest, left = time.monotonic(), max(seconds, 0.1)
            await asyncio.sleep(left)

    async def close(self) -> None:
        """Accept nobody else; give calls under way, and their answers, time to go."""
        asyncio.get_running_loop().remove_reader(self._listener)
        await self._server.stop(_GRACE)
        if tasks := [one.task for one in self._connections if one.task is not None]:
            await asyncio.wait(tasks, timeout=_GRACE)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:  # the caller has gone, or there is no descriptor for it: it calls again
            return
        client.settimeout(0)
        connection = _Connection(client)
        self._connections[connection] = None
        self._make_room()
        connection.task = asyncio.ensure_future(self._carry(connection))

    def _make_room(self) -> None:
        if len(self._connections) <= _MOST:
            return
        oldest = next((one for one in self._connections if not one.has_spoken), None)
        for one in (oldest or next(iter(self._connections)),):
            if one.task is not None:
                one.task.cancel()

    async def _carry(self, connection: _Connection) -> None:
        before = self.answered
        loop = asyncio.get_running_loop()
        inner = socket.socket(socket.AF_UNIX)
        inner.settimeout(0)
        try:
            # A silent caller shall not cost what gRPC keeps of a connection.
            first = await loop.sock_recv(connection.client, _CHUNK)
            connection.has_spoken = True
            await loop.sock_connect(inner, self._inner)
            await loop.sock_sendall(inner, first)
            both = {
                asyncio.ensure_future(_copy(connection.client, inner)),
                asyncio.ensure_future(_copy(inner, connection.client)),
            }
            # HTTP/2 knows no half-closed connection: the end of one direction is that of both.
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in both:
                    one.cancel()
                await asyncio.wait(both)
        except OSError as error:
            _log.warning("a hook connection cannot be served: %s", error)
        finally:
            connection.client.close()
            inner.close()
            del self._connections[connection]
            self._latest = time.monotonic()
            if self.answered == before:
                self._on_lost()


class _Counter(grpc.aio.ServerInterceptor):
    """Counts calls that were looked up; a connection without one was lost."""

    def __init__(self, front: GrpcFront) -> None:
        self._front = front

    async def intercept_service(
        self, continuation: Callable[..., Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:  # noqa: ANN401  # gRPC's own signature
        self._front.answered += 1
        return await continuation(details)


async def _copy(source: socket.socket, to: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):  # the end, too
        while data := await loop.sock_recv(source, _CHUNK):
            await loop.sock_sendall(to, data)
