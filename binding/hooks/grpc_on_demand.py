"""The hook socket: gRPC behind it runs only while somebody is connected.

gRPC's own threads wake a dozen times a second for as long as there is a server, and
virt-launcher calls a few times in the life of a VM. So asyncio listens, and hands the
bytes of a connection to a server that starts with the first and ends after the last:
its import stays, its threads go.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable

import grpc

_log = logging.getLogger(__name__)

IDLE = (("grpc.max_connection_idle_ms", 2_000),)
"""Options of the server: one that says nothing for so long is asked to call again."""
_LINGER = 1.0
"""Seconds from the last connection to the end of the server: the next one is near at first."""
_CHUNK = 65_536


class Listener:
    """Accepts hook connections; `inner` is a path that no one else looks at."""

    def __init__(self, new_server: Callable[[], grpc.aio.Server], inner: str) -> None:
        self._new_server = new_server
        self._inner = inner
        self._front: asyncio.Server | None = None
        self._server: grpc.aio.Server | None = None
        self._changing = asyncio.Lock()
        self._connections: set[asyncio.Task[None]] = set()
        self._resting: asyncio.Task[None] | None = None

    async def open(self, path: str) -> None:
        """Listen; the path may be renamed afterwards. Raises OSError."""
        self._front = await asyncio.start_unix_server(self._accept, path)

    async def close(self, grace: float) -> None:
        """Accept nobody else; give calls under way `grace` seconds, and their answers time to go.

        A connection ends when the server has closed its end, behind the last answer.
        """
        if self._front is not None:
            self._front.close()
        async with self._changing:
            if self._server is not None:
                await self._server.stop(grace)
        if self._connections:
            await asyncio.wait(self._connections, timeout=grace)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._connection(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._ended)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._changing:
                if self._server is None:
                    server = self._new_server()
                    server.add_insecure_port(f"unix:{self._inner}")
                    await server.start()
                    self._server = server  # one that does not start is tried again
            inner_reader, inner_writer = await asyncio.open_unix_connection(self._inner)
        except (OSError, RuntimeError):
            _log.exception("gRPC does not start; the caller is hung up on")
            writer.close()
            return
        both = [
            asyncio.ensure_future(_copy(reader, inner_writer)),
            asyncio.ensure_future(_copy(inner_reader, writer)),
        ]
        # HTTP/2 knows no half-closed connection: the end of one direction is that of both.
        _, other = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for one in other:
            one.cancel()
        for end in (writer, inner_writer):
            end.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if not self._connections:
            if self._resting is not None:
                self._resting.cancel()
            self._resting = asyncio.get_running_loop().create_task(self._rest())

    async def _rest(self) -> None:
        await asyncio.sleep(_LINGER)
        async with self._changing:
            if self._connections or self._server is None:
                return
            await self._server.stop(None)
            self._server = None
        gc.collect()  # gRPC's threads end with the last reference to it


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # the end, too
