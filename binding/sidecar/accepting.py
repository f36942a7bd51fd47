"""Accepts at a listening socket of the sidecar."""

from __future__ import annotations

import socket
from collections.abc import Callable

from binding.process.loop import Loop


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
