"""Carries messages, with descriptors, between the sidecar and a child.

A SOCK_SEQPACKET pair: each read gives one message, an empty read means that the peer has ended.
A message of a pod with many NICs may be too long for the socket: it goes by a file in memory.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import time
from collections.abc import Sequence
from typing import Any, get_args

from binding.ipc.codec import build, decode, plain
from binding.ipc.messages import Message

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}
_LONGEST = 65_536
"""Bytes inline; the kernel's default for what a socket holds is three times as much."""
_TRIES, _PAUSE = 4, 0.005
"""Times and seconds between them: a message that finds no memory is sent again."""
_IN_FILE = b"\0"
"""Stands for a message whose text is in the first descriptor."""
_MOST_DESCRIPTORS = 128
_LONGEST_IN_FILE = 1 << 23
"""Bytes. gRPC takes a VMI and a domain of 4 MiB together, which a message holds once each."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends, neither blocking."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)


def encoded(message: Message) -> bytes:
    """Return one line of JSON: the name of the message and its fields."""
    named = [type(message).__name__, plain(message)]
    return json.dumps(named, separators=(",", ":")).encode()


def decoded(data: bytes) -> Message:
    """Return the message that `encoded` was given. Raises ValueError for anything else."""
    name, fields = decode(tuple[str, Any], data)
    if name not in _KINDS:
        raise ValueError(f"there is no message {name:.60}")
    return build(_KINDS[name], fields)


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> bool:
    """Send without waiting; False when the peer is gone or does not keep up."""
    data = encoded(message)
    if len(data) <= _LONGEST:
        return _send(channel, data, descriptors)
    with open(os.memfd_create("message"), "w+b") as file:  # noqa: PTH123  # a descriptor
        file.write(data)
        file.flush()
        return _send(channel, _IN_FILE, [file.fileno(), *descriptors])


def _send(channel: socket.socket, data: bytes, descriptors: Sequence[int]) -> bool:
    for _ in range(_TRIES):
        try:
            socket.send_fds(channel, [data], descriptors)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        except OSError as error:
            if error.errno not in (errno.ENOBUFS, errno.ENOMEM):
                raise
            time.sleep(_PAUSE)
        else:
            return True
    return False


def receive(channel: socket.socket) -> tuple[Message, list[int]] | None:
    """Return the next message, or None when the peer has closed.

    Raises BlockingIOError when there is none yet, ValueError for what is no message.
    """
    try:
        data, descriptors = receive_with_descriptors(channel, _LONGEST, _MOST_DESCRIPTORS)
    except ConnectionResetError:
        return None
    if not data:
        return None
    try:
        message = decoded(_in_file(descriptors) if data == _IN_FILE else data)
        _count(message, descriptors)
    except ValueError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return message, descriptors


def receive_with_descriptors(
    sender: socket.socket, size: int, most: int
) -> tuple[bytes, list[int]]:
    """Return octets and the descriptors beside them, which no program that we start inherits.

    socket.recv_fds() does not pass MSG_CMSG_CLOEXEC on, whatever its flags: a later `hooks` held
    the guests' packet sockets.
    """
    data, descriptors, _, _ = socket.recv_fds(sender, size, most)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # its own form
    return data, descriptors


def _count(message: Message, descriptors: list[int]) -> None:
    """Raise ValueError where others come beside a message than it names."""
    named = len(getattr(message, "sockets", ()))
    if len(descriptors) != named:
        raise ValueError(f"{len(descriptors)} descriptors beside a message that names {named}")


def _in_file(descriptors: list[int]) -> bytes:
    """Read the message in the first descriptor and close it. Raises ValueError.

    A `serve` that a guest has taken over must neither hold up the sidecar nor fill its memory.
    """
    if not descriptors:
        raise ValueError("a message in a file that is not there")
    with open(descriptors.pop(0), "rb") as file:  # noqa: PTH123  # a descriptor
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("a message in no regular file")
        if about.st_size > _LONGEST_IN_FILE:
            raise ValueError(f"a message of {about.st_size} bytes, the most are {_LONGEST_IN_FILE}")
        file.seek(0)
        return file.read(_LONGEST_IN_FILE)
