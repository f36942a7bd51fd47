"""Accepts at a listening socket of the sidecar, and answers."""

from __future__ import annotations

import fcntl
import socket
import termios
from collections.abc import Callable
from contextlib import suppress

from binding.process.loop import Loop

_READ_WITHIN = 0.2
"""Seconds for a reader that does not keep up with an answer larger than its socket's buffer."""
_MOST_UNREAD = 32
"""Answers that nobody has read. The kernel counts them as our container's memory until they are
read or the client closes its socket, whether we have closed ours or not."""
_READ_AFTER = 1.0
"""Seconds after which most answers have been read."""


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


class AnswerWriter:
    """Writes answers to the clients of one socket, to few of those that read none."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._unread: list[socket.socket] = []

    def write(self, client: socket.socket, text: Callable[[], str]) -> None:
        """Write the answer to a client that may have left; none where many have not read theirs.

        Our end of the connection stays open until the answer is read, which is looked at later.
        """
        self._hang_up_on_readers()
        if len(self._unread) >= _MOST_UNREAD:
            client.close()
            return
        client.settimeout(_READ_WITHIN)
        with suppress(OSError):
            client.sendall(text().encode())
            client.shutdown(socket.SHUT_WR)
        if not self._unread:
            self._loop.after(_READ_AFTER, self._hang_up_on_readers)
        self._unread.append(client)

    def _hang_up_on_readers(self) -> None:
        for client in self._unread:
            if not _unread(client):
                client.close()
        self._unread = [one for one in self._unread if one.fileno() >= 0]


def _unread(client: socket.socket) -> int:
    """Return how many octets, as the kernel counts memory, the peer has not read yet."""
    octets = fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4))  # SIOCOUTQ, unix(7)
    return int.from_bytes(octets, "little")
