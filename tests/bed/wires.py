"""Packet sockets in other namespaces, and which of the frames sent came out at the far end."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from tests.bed.netns import Netns

_CLONE_NEWNET = 0x40000000
_OUTGOING = 4
MARK = bytes.fromhex("ffffffffffff 02000000eeee 88b5") + bytes(46)


def packet_socket(space: Netns, link: str) -> socket.socket:
    """Open a packet socket on a link of another namespace."""
    with ThreadPoolExecutor(1) as thread:  # only that thread goes there
        return thread.submit(_open, str(space.path), link).result()


def _open(path: str, link: str) -> socket.socket:
    descriptor = os.open(path, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {path}")
    os.close(descriptor)
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    opened.bind((link, 3))
    opened.settimeout(1)
    return opened


def carried(sender: socket.socket, receiver: socket.socket, frames: dict[str, bytes]) -> set[str]:
    """Send frames and return the names of those that arrive; their source MACs are rewritten."""
    names = list(frames)
    for number, name in enumerate(names):
        frame = frames[name]
        sender.send(frame[:6] + b"\x02\0\0\0\x01" + bytes((number,)) + frame[12:])
    sender.send(MARK)
    heard = set()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        frame, (_, _, kind, *_) = receiver.recvfrom(65_536)
        if kind == _OUTGOING:
            continue
        if frame.startswith(MARK[:14]):
            return heard
        if frame[6:11] == b"\x02\0\0\0\x01":
            heard.add(names[frame[11]])
    raise TimeoutError("the marker frame did not arrive: the path is broken")


def ear(space: Netns, link: str) -> str:
    """Return the name of what the guard hands frames over by, that came in by a link."""
    return f"dsb-ear{space.query('link', 'show', 'dev', link)[0]['ifindex']}"


def listening(space: Netns) -> set[str]:
    """Return the links that packet sockets of a namespace listen at."""
    names = {link["ifindex"]: link["ifname"] for link in space.query("link")}
    lines = space.run("cat", "/proc/net/packet").splitlines()[1:]
    return {names[int(line.split()[4])] for line in lines}
