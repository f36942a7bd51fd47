"""What passes a link of any namespace, both ways, from the moment of asking."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.bed.netns import Netns
from tests.bed.packet_sockets import LONGEST, OUTGOING, packet_socket
from tests.bed.wait import until

_PROTOCOL, _EXTENSIONS = 6, (0, 43, 60)
_FORCED_BUFFER, _BUFFER = 33, 8 << 20  # SO_RCVBUFFORCE
ARP, RS, RA, NS, NA = "ARP", 133, 134, 135, 136
"""What `kind` says of a frame that matters here."""


@dataclass(slots=True)
class Capture:
    """The frames of one link so far."""

    socket: socket.socket
    received: list[bytes] = field(default_factory=list)
    """What came in on the link."""
    sent: list[bytes] = field(default_factory=list)
    """What its own namespace sent."""

    def read(self) -> Capture:
        """Take in what has passed until now."""
        while True:
            try:
                frame, (_, _, direction, *_) = self.socket.recvfrom(LONGEST)
            except BlockingIOError:
                return self
            except OSError as error:
                if error.errno != errno.ENETDOWN:  # told once when the link goes down
                    raise
                continue
            (self.sent if direction == OUTGOING else self.received).append(frame)

    def send(self, frame: bytes) -> None:
        """Put a frame on the link, as its own namespace would."""
        self.socket.send(frame)

    def wait(self, wanted: Callable[[bytes], object], what: str, timeout: float = 20) -> bytes:
        """Return the first frame that came in and is wanted; TimeoutError names `what`."""

        def found() -> bytes:
            return next((frame for frame in self.read().received if wanted(frame)), b"")

        return until(found, what, timeout)


def kind(frame: bytes) -> str | int | None:
    """Return ARP, the ICMPv6 type, or None for anything else."""
    if frame[12:14] == b"\x08\x06":
        return ARP
    if frame[12:14] != b"\x86\xdd":
        return None
    following, at = frame[14 + _PROTOCOL], 54
    while following in _EXTENSIONS and len(frame) > at + 1:  # MLD has a hop-by-hop header
        following, at = frame[at], at + 8 * (frame[at + 1] + 1)
    return frame[at] if following == socket.IPPROTO_ICMPV6 and len(frame) > at else None


@contextmanager
def capture(space: Netns, link: str) -> Iterator[Capture]:
    """Listen on a link; frames keep until read, some thousands of them."""
    with packet_socket(space, link) as opened:
        opened.settimeout(0)
        try:
            opened.setsockopt(socket.SOL_SOCKET, _FORCED_BUFFER, _BUFFER)
        except PermissionError:  # for the real root only
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        yield Capture(opened)
