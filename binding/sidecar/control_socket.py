"""The control socket: one line of JSON asks for something, one line answers, and it is hung up.

Only a process that can write into the hooks directory, and so could call the hook socket, connects.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from binding.process.loop import Loop
from binding.sidecar.accepting import accept

_LONGEST = 1 << 16
_MOST = 4
"""Connections at once; further ones are hung up on."""
_PATIENCE = 5.0
"""Seconds for the whole line to come."""
_READ_WITHIN = 0.2
"""Seconds for a reader that does not keep up with an answer larger than its socket's buffer."""


class ControlSocket:
    """Gives each line to `answer`, which never raises."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        answer: Callable[[bytes], Awaitable[str]],
    ) -> None:
        self._loop = loop
        self._answer = answer
        self._clients = 0
        self.close = accept(loop, listener, self._take)

    def _take(self, client: socket.socket) -> None:
        if self._clients >= _MOST:
            client.close()
            return
        self._clients += 1
        client.settimeout(0)
        line = bytearray()
        late = self._loop.after(_PATIENCE, lambda: self._hang_up(client))

        def readable() -> None:
            try:
                data = client.recv(_LONGEST)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            line.extend(data)
            if b"\n" in data:
                late.cancel()
                self._loop.unwatch(client)
                self._loop.spawn(self._serve(client, bytes(line)))
            elif not data or len(line) > _LONGEST:
                late.cancel()
                self._hang_up(client)

        self._loop.watch(client, readable)

    async def _serve(self, client: socket.socket, line: bytes) -> None:
        try:
            answer = await self._answer(line)
            client.settimeout(_READ_WITHIN)
            with suppress(OSError):  # a reader that left early
                client.sendall(f"{answer}\n".encode())
        finally:
            self._hang_up(client)

    def _hang_up(self, client: socket.socket) -> None:
        self._loop.unwatch(client)
        client.close()
        self._clients -= 1
