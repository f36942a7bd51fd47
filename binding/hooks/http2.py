"""One HTTP/2 connection of a gRPC server, unary calls only (RFC 9113, gRPC over HTTP/2). Pure.

Octets of the client go in, complete requests come out. gRPC's own library would cost hooks 9 MiB,
and at 200m CPU half a second before virt-launcher is greeted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from binding.hooks import hpack
from binding.hooks.http2_frames import (
    ACK,
    COMPRESSION_ERROR,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    HAS_PRIORITY,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    LARGEST_WINDOW,
    MAX_CONCURRENT_STREAMS,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    Frame,
    Http2Error,
    Kind,
    Reader,
    number,
    unpadded,
)
from binding.hooks.http2_output import Http2Output

INVALID_ARGUMENT, RESOURCE_EXHAUSTED, FAILED_PRECONDITION = 3, 8, 9
UNIMPLEMENTED, INTERNAL = 12, 13
"""Statuses of gRPC."""
_MOST_STREAMS = 16
_LONGEST_FIELDS = 32_768
_LARGEST_REQUEST = 4 * 2**20
"""Octets of all requests that come in at a time, gRPC's usual limit for one; etcd keeps no object
of more than 1.5 MiB."""
_LONGEST_TEXT = 4_000
"""Octets of the quoted text of a status; clients of gRPC's C core take 8 KiB of header fields."""
_GRPC = b"application/grpc"
_HEAD = ((b":status", b"200"), (b"content-type", _GRPC))


@dataclass(frozen=True, slots=True)
class GrpcRequest:
    """A complete request; `respond` or `refuse` answers it."""

    stream: int
    path: str
    """`/package.Service/Method`."""
    message: bytes


@dataclass(slots=True)
class _Call:
    """A request that comes in or is answered."""

    path: str
    body: bytearray = field(default_factory=bytearray)
    """What of the request has come in; empty once it is complete."""
    octets: int = 0
    """Octets of the request that have come in."""
    is_asked: bool = False
    """The request is complete."""
    is_reset: bool = False
    """The client no longer waits for the answer; the call counts until its work has ended."""


class Connection:
    """From the client's preface to the end of the connection."""

    def __init__(self) -> None:
        self.is_over = False
        """Nothing more is read; what is in `output` still goes out."""
        self._said = Http2Output()
        self._reader = Reader()
        self._decoder = hpack.Decoder()
        self._calls: dict[int, _Call] = {}
        self._latest = 0
        self._fields: tuple[int, int, bytearray] | None = None
        """Stream, flags and octets of header fields that are not complete."""
        settings = struct.pack(">HI", MAX_CONCURRENT_STREAMS, _MOST_STREAMS)
        self._said.say(Kind.SETTINGS, 0, 0, settings)

    @property
    def output(self) -> bytearray:
        """Octets to send; the sender deletes from the front what it has sent."""
        return self._said.octets

    @property
    def is_busy(self) -> bool:
        """Whether a request has begun to come in whose answer has not gone out."""
        return bool(self._calls) or self._said.is_waiting

    @property
    def is_working(self) -> bool:
        """Whether the client waits for the answer to a complete request."""
        return any(call.is_asked and not call.is_reset for call in self._calls.values())

    @property
    def held(self) -> int:
        """Octets of requests without an answer, and of answers that have not gone out."""
        return sum(call.octets for call in self._calls.values()) + self._said.held

    def receive(self, data: bytes) -> list[GrpcRequest]:
        """Take octets of the client; return the requests that are complete."""
        requests: list[GrpcRequest] = []
        if self.is_over:
            return requests
        self._reader.add(data)
        try:
            while (frame := self._reader.next()) is not None:
                if (request := self._take(frame)) is not None:
                    requests.append(request)
        except Http2Error as error:
            self._end(error.code, str(error))
        except hpack.HpackError as error:
            self._end(COMPRESSION_ERROR, str(error))
        return requests

    def respond(self, request: GrpcRequest, message: bytes) -> None:
        if self._is_wanted(request.stream):
            self._said.fields(request.stream, _HEAD)
            body = b"\0" + number(len(message)) + message
            self._said.body(request.stream, body, [(b"grpc-status", b"0")])

    def refuse(self, request: GrpcRequest, status: int, text: str) -> None:
        """Answer a request with a status other than OK."""
        if self._is_wanted(request.stream):
            self._refuse(request.stream, status, text)

    def close(self) -> None:
        """Have the client make its next call by another connection."""
        self._end(NO_ERROR, "")

    def _is_wanted(self, stream: int) -> bool:
        """End a call; say whether its client still waits for the answer."""
        call = self._calls.pop(stream, None)
        return call is not None and not call.is_reset

    def _refuse(self, stream: int, status: int, text: str) -> None:
        said = ((b"grpc-status", b"%d" % status), (b"grpc-message", _quoted(text)))
        self._said.fields(stream, (*_HEAD, *said), is_last=True)
        self._said.close(stream)

    def _take(self, frame: Frame) -> GrpcRequest | None:
        kind, flags, stream, payload = frame
        if self._fields is not None and (kind, stream) != (Kind.CONTINUATION, self._fields[0]):
            raise Http2Error(PROTOCOL_ERROR, "header fields are not continued")
        if kind == Kind.DATA:
            return self._data(flags, stream, payload)
        if kind == Kind.HEADERS:
            block = unpadded(flags, payload)[5 if flags & HAS_PRIORITY else 0 :]
            self._fields = stream, flags, bytearray(block)
            return self._continued(flags)
        if kind == Kind.CONTINUATION and self._fields is not None:
            self._fields[2].extend(payload)
            return self._continued(flags)
        self._control(frame)
        return None

    def _control(self, frame: Frame) -> None:
        """Take a frame that is no part of a request."""
        kind, flags, stream, payload = frame
        match kind:
            case Kind.RST_STREAM:
                self._reset(stream)
            case Kind.SETTINGS:
                self._settings(flags, payload)
            case Kind.PING if len(payload) == 8:
                if not flags & ACK:
                    self._said.say(Kind.PING, ACK, 0, payload)
            case Kind.WINDOW_UPDATE if len(payload) == 4:
                self._said.more_room(stream, int.from_bytes(payload, "big") & LARGEST_WINDOW)
            case Kind.PUSH_PROMISE | Kind.PING | Kind.WINDOW_UPDATE | Kind.CONTINUATION:
                raise Http2Error(PROTOCOL_ERROR, "a frame that has no place here")
            case _:  # PRIORITY, GOAWAY and kinds of later documents ask for nothing
                pass

    def _continued(self, flags: int) -> GrpcRequest | None:
        """Read header fields once they are complete."""
        assert self._fields is not None
        stream, first_flags, block = self._fields
        if len(block) > _LONGEST_FIELDS:
            raise Http2Error(ENHANCE_YOUR_CALM, "too many header fields")
        if not flags & END_HEADERS:
            return None
        self._fields = None
        fields = dict(self._decoder.decode(bytes(block)))
        if stream > self._latest:  # else they are trailers
            self._open(stream, fields)
        return self._ended(stream) if first_flags & END_STREAM else None

    def _open(self, stream: int, fields: dict[bytes, bytes]) -> None:
        if stream % 2 == 0:
            raise Http2Error(PROTOCOL_ERROR, "a client's streams have odd numbers")
        self._latest = stream
        # A call that was reset is worked on, an answer that is not taken is kept.
        if len(self._said.streams | self._calls.keys()) >= _MOST_STREAMS:
            self._said.say(Kind.RST_STREAM, 0, stream, number(REFUSED_STREAM))
        elif fields.get(b"content-type", b"").startswith(_GRPC):
            self._calls[stream] = _Call(fields.get(b":path", b"").decode(errors="replace"))
            self._said.open(stream)
        else:
            self._said.fields(stream, [(b":status", b"415")], is_last=True)

    def _data(self, flags: int, stream: int, payload: bytes) -> GrpcRequest | None:
        if not 0 < stream <= self._latest:
            raise Http2Error(PROTOCOL_ERROR, "data of a stream that is not open")
        call = self._calls.get(stream)
        if payload:  # what has been read makes room for more
            self._said.say(Kind.WINDOW_UPDATE, 0, 0, number(len(payload)))
        if call is None or call.is_asked:
            return None
        if payload:
            self._said.say(Kind.WINDOW_UPDATE, 0, stream, number(len(payload)))
        call.body += unpadded(flags, payload)
        call.octets = len(call.body)
        if sum(len(one.body) for one in self._calls.values()) > _LARGEST_REQUEST:
            self._refuse(stream, RESOURCE_EXHAUSTED, f"more than {_LARGEST_REQUEST} octets")
            self._said.say(Kind.RST_STREAM, 0, stream, number(NO_ERROR))
            del self._calls[stream]
            return None
        return self._ended(stream) if flags & END_STREAM else None

    def _ended(self, stream: int) -> GrpcRequest | None:
        """Return the request of a stream to which the client adds nothing."""
        call = self._calls.get(stream)
        if call is None or call.is_asked:
            return None
        call.is_asked = True
        body, call.body = call.body, bytearray()
        request = GrpcRequest(stream, call.path, bytes(memoryview(body)[5:]))
        if body[:1] == b"\1":
            self.refuse(request, UNIMPLEMENTED, "compressed messages are not read")
        elif len(body) < 5 or int.from_bytes(body[1:5], "big") != len(request.message):
            self.refuse(request, INTERNAL, "a request is one whole message")
        else:
            return request
        return None

    def _reset(self, stream: int) -> None:
        self._said.close(stream)
        call = self._calls.get(stream)
        if call is not None and call.is_asked:
            call.is_reset = True
        else:
            self._calls.pop(stream, None)

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            return
        if len(payload) % 6:
            raise Http2Error(FRAME_SIZE_ERROR, "settings of a false length")
        self._said.say(Kind.SETTINGS, ACK, 0)
        for name, value in struct.iter_unpack(">HI", payload):
            if name == HEADER_TABLE_SIZE:
                self._said.table_size()
            elif name == INITIAL_WINDOW_SIZE:
                self._said.first_window(value)

    def _end(self, code: int, text: str) -> None:
        if not self.is_over:
            self._said.say(Kind.GOAWAY, 0, 0, number(self._latest) + number(code) + text.encode())
        self.is_over = True


def _quoted(text: str) -> bytes:
    """Return the text of a status with the escapes of gRPC, cut between two characters."""
    quoted, size = list[str](), 0
    for character in text[:_LONGEST_TEXT]:
        octets = character.encode(errors="replace")
        is_plain = " " <= character <= "~" and character != "%"
        quoted.append(character if is_plain else "".join(f"%{octet:02X}" for octet in octets))
        size += len(quoted[-1])
        if size > _LONGEST_TEXT:
            return "".join(quoted[:-1]).encode()
    return "".join(quoted).encode()
