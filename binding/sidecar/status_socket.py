"""The status socket: a client that connects gets the status object as JSON, then the end."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from binding.process.loop import Loop
from binding.sidecar.accepting import AnswerWriter, accept

_MOST_WAITING = 4
"""Connections for which `serve` is asked first; further ones get what the sidecar knows."""


class StatusSocket:
    """Accepts, writes, closes. It reads nothing, so no client can hold it up."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        refresh: Callable[[], Awaitable[None]],
        text: Callable[[], str],
    ) -> None:
        self._loop = loop
        self._refresh = refresh
        self._text = text
        self._waiting = 0
        self._answers = AnswerWriter(loop)
        self.close = accept(loop, listener, self._take)

    def _take(self, client: socket.socket) -> None:
        if self._waiting < _MOST_WAITING:
            self._loop.spawn(self._answer(client))
        else:
            self._send_status(client)

    async def _answer(self, client: socket.socket) -> None:
        self._waiting += 1
        try:
            await self._refresh()
        finally:
            self._waiting -= 1
            self._send_status(client)

    def _send_status(self, client: socket.socket) -> None:
        self._answers.write(client, self._text)
