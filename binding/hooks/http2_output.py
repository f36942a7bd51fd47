"""Frames that the server sends on an HTTP/2 connection, as fast as its client takes them. Pure.

Flow control is that of RFC 9113 section 5.2: DATA counts against a window of its stream and one of
the connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from binding.hooks import hpack
from binding.hooks.http2_frames import (
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    Http2Error,
    Kind,
    frame,
)

_WINDOW = 65_535


@dataclass(slots=True)
class _Stream:
    """The window of one stream, and the octets that wait for it."""

    window: int
    body: bytearray = field(default_factory=bytearray)
    trailers: bytes = b""


class Http2Output:
    """The output of one connection; `octets` are to be sent now."""

    def __init__(self) -> None:
        self.octets = bytearray()
        self._streams: dict[int, _Stream] = {}
        self._window, self._first_window = _WINDOW, _WINDOW
        self._before_fields = b""

    @property
    def is_waiting(self) -> bool:
        """Whether part of an answer waits for the client's window."""
        return any(one.trailers for one in self._streams.values())

    @property
    def held(self) -> int:
        """Octets that have not been sent."""
        return len(self.octets) + sum(len(one.body) for one in self._streams.values())

    @property
    def streams(self) -> set[int]:
        """The numbers of the open streams."""
        return set(self._streams)

    def say(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        """Send a frame that no window holds up."""
        self.octets += frame(kind, flags, stream, payload)

    def fields(self, stream: int, fields: Iterable[hpack.Field], *, is_last: bool = False) -> None:
        self._block(stream, hpack.encode(fields), END_STREAM if is_last else 0)

    def table_size(self) -> None:
        """Take note of the client's SETTINGS_HEADER_TABLE_SIZE.

        Where it is smaller than before, the next header block has to say so (RFC 7541 section 4.2).
        No header block uses the table, so that its size may be 0, whatever the client offers.
        """
        self._before_fields = hpack.NO_TABLE

    def open(self, stream: int) -> None:
        """Count what the client takes of a new stream."""
        self._streams[stream] = _Stream(self._first_window)

    def close(self, stream: int) -> None:
        """Send nothing more on a stream."""
        self._streams.pop(stream, None)

    def body(self, stream: int, body: bytes, trailers: Iterable[hpack.Field]) -> None:
        """Send the message of an answer and the fields behind it, which end the stream."""
        one = self._streams[stream]
        one.body += body
        one.trailers = hpack.encode(trailers)
        self._flush()

    def first_window(self, octets: int) -> None:
        """Take note of the window that the client gives each stream. Raises Http2Error."""
        for one in self._streams.values():
            one.window += octets - self._first_window
        self._first_window = octets
        self._check(octets)
        self._flush()

    def more_room(self, stream: int, octets: int) -> None:
        """Take note of a WINDOW_UPDATE. Raises Http2Error."""
        if stream == 0:
            self._window += octets
            self._check(self._window)
        elif stream in self._streams:
            self._streams[stream].window += octets
            self._check(self._streams[stream].window)
        self._flush()

    def _block(self, stream: int, block: bytes, flags: int) -> None:
        self.say(Kind.HEADERS, END_HEADERS | flags, stream, self._before_fields + block)
        self._before_fields = b""

    @staticmethod
    def _check(window: int) -> None:
        if window > LARGEST_WINDOW:
            raise Http2Error(FLOW_CONTROL_ERROR, "a window that is too large")

    def _flush(self) -> None:
        for number, one in list(self._streams.items()):
            while one.body and (room := min(self._window, one.window, LARGEST_FRAME)) > 0:
                part = bytes(one.body[:room])
                del one.body[:room]
                self._window -= len(part)
                one.window -= len(part)
                self.say(Kind.DATA, 0, number, part)
            if one.trailers and not one.body:
                self._block(number, one.trailers, END_STREAM)
                self.close(number)
