"""Accepts at a listening socket of the sidecar, and answers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from binding.process.loop import Loop

_READ_WITHIN = 0.2
"""Seconds for a reader that does not keep up with an answer larger than its socket's buffer."""


def accept(
    loop: Loop, listener: socket.socket, take: Callable[[socket.socket], object]
) -> Callable[[], None]:
    """Hand each connection to `take`; return what closes the listening socket."""

    def readable() -> None:
        try:
            client, _ = listener.accept()
        except OSError:  # the client has gone, or no descriptor is left
            return
        take(client)

    def close() -> None:
        loop.unwatch(listener)
        listener.close()

    loop.watch(listener, readable)
    return close


def answer(client: socket.socket, text: str) -> None:
    """Write the answer to a client that may have left."""
    client.settimeout(_READ_WITHIN)
    with suppress(OSError):
        client.sendall(text.encode())
