"""The control socket: one line of JSON asks for something, one line answers, and it is hung up.

Only a process that can write into the hooks directory, and so could call the hook socket, connects.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from binding.process.loop import Loop
from binding.sidecar.accepting import AnswerWriter, accept

_LONGEST = 1 << 16
_MOST = 4
"""Connections at once; further ones are hung up on."""
_PATIENCE = 5.0
"""Seconds for the whole line to come."""


class ControlSocket:
    """Gives each line to `ask`, which never raises, and sends what that returns."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        ask: Callable[[bytes], Awaitable[str]],
    ) -> None:
        self._loop = loop
        self._ask = ask
        self._clients = 0
        self._answers = AnswerWriter(loop)
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
            said = await self._ask(line)
        finally:
            self._clients -= 1
        self._answers.write(client, lambda: f"{said}\n")

    def _hang_up(self, client: socket.socket) -> None:
        self._loop.unwatch(client)
        client.close()
        self._clients -= 1
