"""Frames as QEMU writes them: with a virtio header, their checksums and segments left to us."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bed.netns import Netns
from tests.bed.packet_sockets import marker, numbered, until_marker

_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
# Checksums, TSO for both families, ECN, UFO, USO for both families.
_OFFLOADS = (0x7F, 0x1F)
NONE, TCPV4, UFO, TCPV6, USO, ECN = 0, 1, 3, 4, 5, 0x80
"""Kinds of segmentation, of linux/virtio_net.h."""
Written = tuple[bytes, bytes]
"""A virtio header and a frame."""


def virtio(
    frame: bytes, *, checksum: tuple[int, int] | None = None, gso: int = NONE, linear: int = 0
) -> Written:
    """Return a frame with its header.

    `checksum` is where the transport header begins, and how far behind that the checksum is to
    be filled in; `linear` is how many octets the guest calls headers.
    """
    start, offset = checksum or (0, 0)
    size = 1400 if gso else 0
    return struct.pack("<BBHHHH", int(bool(checksum)), gso, linear, size, start, offset), frame


@contextmanager
def tap(space: Netns, name: str, bridge: str) -> Iterator[int]:
    """Add a tap to a bridge and hold it as QEMU does; yields its descriptor."""

    def attach() -> int:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        for offloads in _OFFLOADS:  # kernels before 6.2 have no USO
            try:
                fcntl.ioctl(descriptor, _TUNSETOFFLOAD, offloads)
            except OSError:
                continue
            return descriptor
        raise OSError("this tap has no offloads")

    descriptor = space.call(attach)
    try:
        space.ip(f"link set {name} mtu 9000 master {bridge} up")
        yield descriptor
    finally:
        os.close(descriptor)


def carried(tap: int, receiver: socket.socket, frames: dict[str, Written]) -> set[str]:
    """Write frames to a tap and return the names of those that arrive, whole or in segments."""
    arrived: set[str] = set()
    names = list(frames)
    for number, name in enumerate(names):
        header, frame = frames[name]
        os.write(tap, header + numbered(frame, number))
        mark = marker()
        os.write(tap, bytes(10) + mark)
        arrived |= {name for number in until_marker(receiver, mark)}
    return arrived
