"""Blocks of a pcapng file (draft-ietf-opsawg-pcapng): section, interfaces, packets. Pure."""

from __future__ import annotations

import struct

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_ETHERNET = 1
_NAME, _RESOLUTION, _FLAGS, _APPLICATION = 2, 9, 2, 4
_NANOSECONDS = 9
INBOUND, OUTBOUND = 1, 2


def section(application: str) -> bytes:
    """Return the block that begins a file; `application` is what wrote it."""
    body = struct.pack("=IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(_SECTION, body + _options((_APPLICATION, application.encode())))


def interface(name: str) -> bytes:
    """Return the block of a link; packets name it by its number in the file, from 0."""
    body = struct.pack("=HHI", _ETHERNET, 0, 0)
    options = _options((_NAME, name.encode()), (_RESOLUTION, bytes((_NANOSECONDS,))))
    return _block(_INTERFACE, body + options)


def packet(number: int, nanoseconds: int, frame: bytes, direction: int) -> bytes:
    """Return the block of a frame that came in or went out by an interface."""
    high, low = nanoseconds >> 32, nanoseconds & 0xFFFFFFFF
    head = struct.pack("=IIIII", number, high, low, len(frame), len(frame))
    flags = _options((_FLAGS, struct.pack("=I", direction)))
    return _block(_PACKET, head + frame + bytes(-len(frame) % 4) + flags)


def _options(*options: tuple[int, bytes]) -> bytes:
    packed = (
        struct.pack("=HH", code, len(value)) + value + bytes(-len(value) % 4)
        for code, value in options
    )
    return b"".join(packed) + bytes(4)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("=I", len(body) + 12)
    return struct.pack("=I", kind) + length + body + length
