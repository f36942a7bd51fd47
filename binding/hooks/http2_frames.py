"""Frames of HTTP/2 (RFC 9113 sections 4 and 6): their numbers, and from octets to frames. Pure."""

from __future__ import annotations

import struct
from typing import NamedTuple

LARGEST_FRAME = 16_384
"""Octets of payload; neither side needs to take more unless it says so, and we never do."""
LARGEST_WINDOW = 2**31 - 1
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
"""Flags."""
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 0x0, 0x1, 0x3, 0x6
REFUSED_STREAM, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 0x7, 0x9, 0xB
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 0x1, 0x3, 0x4
"""Settings."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = struct.Struct(">BHBBI")


class Kind:
    """Kinds of frames."""

    DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
    PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9


class Frame(NamedTuple):
    """One frame; stream 0 is the connection itself."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Http2Error(Exception):
    """The client breaks the protocol: the connection ends with this code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    length = len(payload)
    return _HEAD.pack(length >> 16, length & 0xFFFF, kind, flags, stream) + payload


def number(value: int) -> bytes:
    """Return a payload that is one number."""
    return value.to_bytes(4, "big")


def unpadded(flags: int, payload: bytes) -> bytes:
    """Return what a payload of DATA or HEADERS has beside its padding. Raises Http2Error."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Error(PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]


class Reader:
    """From the octets of a client to its frames."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._is_greeted = False

    def add(self, data: bytes) -> None:
        """Take octets as they come."""
        self._octets += data

    def next(self) -> Frame | None:
        """Return the next frame, None as long as it is not complete. Raises Http2Error."""
        if not self._is_greeted and not self._greet():
            return None
        if len(self._octets) < _HEAD.size:
            return None
        high, low, kind, flags, stream = _HEAD.unpack_from(self._octets)
        end = _HEAD.size + (high << 16 | low)
        if end > _HEAD.size + LARGEST_FRAME:
            raise Http2Error(FRAME_SIZE_ERROR, f"a frame of more than {LARGEST_FRAME} octets")
        if len(self._octets) < end:
            return None
        payload = bytes(self._octets[_HEAD.size : end])
        del self._octets[:end]
        return Frame(kind, flags, stream & LARGEST_WINDOW, payload)

    def _greet(self) -> bool:
        head = bytes(self._octets[: len(_PREFACE)])
        if not _PREFACE.startswith(head):
            raise Http2Error(PROTOCOL_ERROR, "only gRPC is spoken here")
        if len(head) == len(_PREFACE):
            del self._octets[: len(_PREFACE)]
            self._is_greeted = True
        return self._is_greeted
