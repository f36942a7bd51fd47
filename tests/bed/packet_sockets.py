"""Packet sockets in other namespaces, and which of the frames sent came out at the far end."""

from __future__ import annotations

import itertools
import socket

from tests.bed.netns import Netns
from tests.bed.wait import Limit

ALL, OUTGOING, LONGEST = 0x0003, 4, 65_536
"""ETH_P_ALL, PACKET_OUTGOING, and a buffer for the longest frame."""
_NUMBERED = b"\x02\0\0\x01"
"""What the source MAC of a frame of `numbered` begins with; its last two octets are the number."""
_BATCH = 40
"""Frames that wait unread in a socket; its buffer holds some hundreds."""
_serial = itertools.count(1)


def packet_socket(space: Netns, link: str) -> socket.socket:
    """Open a packet socket on a link of another namespace."""

    def opened() -> socket.socket:
        found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        found.bind((link, ALL))
        found.settimeout(1)
        return found

    return space.call(opened)


def carried(sender: socket.socket, receiver: socket.socket, frames: dict[str, bytes]) -> set[str]:
    """Send frames and return the names of those that arrive; their source MACs are rewritten.

    TimeoutError: not even the marker frame behind them did.
    """
    names = list(frames)
    heard: set[str] = set()
    for start in range(0, max(1, len(names)), _BATCH):
        batch = names[start : start + _BATCH]
        for number, name in enumerate(batch):
            sender.send(numbered(frames[name], start + number))
        mark = marker()
        sender.send(mark)
        heard |= {names[number] for number in until_marker(receiver, mark)}
    return heard


def numbered(frame: bytes, number: int) -> bytes:
    """Write a number into the source MAC."""
    return frame[:6] + _NUMBERED + number.to_bytes(2, "big") + frame[12:]


def number_of(frame: bytes) -> int | None:
    """Return the number that `numbered` wrote."""
    return int.from_bytes(frame[10:12], "big") if frame[6:10] == _NUMBERED else None


def marker() -> bytes:
    """Return a frame that says where others end; each is another: one may arrive late."""
    return bytes.fromhex("ffffffffffff 02000000eeee 88b5") + next(_serial).to_bytes(46, "big")


def until_marker(receiver: socket.socket, mark: bytes) -> set[int]:
    """Return the numbers of the frames that arrive before the marker frame."""
    numbers = set()
    limit = Limit(5)
    timeout = receiver.gettimeout()
    receiver.settimeout(0.1)
    try:
        while not limit.over():
            try:
                frame, (_, _, kind, *_) = receiver.recvfrom(LONGEST)
            except TimeoutError:
                continue
            if kind == OUTGOING:
                continue
            if frame == mark:
                return numbers
            number = number_of(frame)
            if number is not None:
                numbers.add(number)
    finally:
        receiver.settimeout(timeout)
    raise TimeoutError("the marker frame did not arrive: the path is broken")


def listening_bridge(space: Netns, link: str) -> str:
    """Return the name of the bridge to which the guard copies what came in by a link."""
    return f"dsb-listen{space.query('link', 'show', 'dev', link)[0]['ifindex']}"


def listening(space: Netns) -> set[str]:
    """Return the links that packet sockets of a namespace listen at."""
    names = {link["ifindex"]: link["ifname"] for link in space.query("link")}
    lines = space.run("cat", "/proc/net/packet").splitlines()[1:]
    return {names[int(line.split()[4])] for line in lines}
