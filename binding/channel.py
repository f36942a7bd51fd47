"""JSON messages, with file descriptors, between the hook server and its `serve` child.

A SOCK_SEQPACKET pair: one message is one read, and the end of the peer is an empty one.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]
_LONGEST = 262_144
_MOST_DESCRIPTORS = 128


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends, neither blocking."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
    return ends


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> bool:
    """Send without waiting; False when the peer is gone or does not keep up."""
    data = json.dumps(message, separators=(",", ":")).encode()
    try:
        socket.send_fds(channel, [data], descriptors)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        return False
    return True


def receive(channel: socket.socket) -> tuple[Message, list[int]] | None:
    """Return the next message, or None when the peer has closed.

    Raises BlockingIOError when there is none yet.
    """
    try:
        data, descriptors, _, _ = socket.recv_fds(channel, _LONGEST, _MOST_DESCRIPTORS)
    except ConnectionResetError:
        return None
    if not data:
        return None
    return json.loads(data), descriptors
