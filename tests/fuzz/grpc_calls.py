"""What whoever connects to the hook socket sends: HTTP/2, header compression, protobuf.

The first octet says in how many pieces it comes.
"""

from __future__ import annotations

import random
from contextlib import suppress

from binding.hooks import hpack, http2, protobuf
from binding.hooks.http2_frames import END_HEADERS, END_STREAM, Kind, frame, number
from tests.fuzz import mutations

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FIELDS = (
    (b":method", b"POST"),
    (b":path", b"/kubevirt.hooks.info.v1alpha1.Info/Info"),
    (b"content-type", b"application/grpc"),
)
_MESSAGE = protobuf.encoded(1, b"<domain/>") + protobuf.encoded(2, b"{}") + b"\x18\x05"
_HUFFMAN = bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff5f8b1d75d0620d263d4c4d6564")
_PRIORITY = bytes(5)


def _call(stream: int, fields: bytes, body: bytes) -> bytes:
    asked = b"\0" + number(len(body)) + body
    head = frame(Kind.HEADERS, END_HEADERS, stream, fields)
    return head + frame(Kind.DATA, END_STREAM, stream, asked)


_ENCODED = hpack.encode(_FIELDS)
_SETTINGS = frame(Kind.SETTINGS, 0, 0, b"\0\4\0\0\0\x10")
_PADDED = b"\1" + _PRIORITY + _ENCODED + b"\0"
_EARLIER = b"\x20\x82\x40\1x\1y\xbe" + _ENCODED
_SAID = (
    (_SETTINGS, _call(1, _ENCODED, b""), _call(3, _ENCODED, _MESSAGE)),
    (frame(Kind.HEADERS, END_HEADERS | 0x28, 1, _PADDED),),
    (
        frame(Kind.HEADERS, 0, 1, _ENCODED[:9]),
        frame(Kind.CONTINUATION, END_HEADERS, 1, _ENCODED[9:]),
        frame(Kind.RST_STREAM, 0, 1, number(8)),
    ),
    (
        frame(Kind.PING, 0, 0, bytes(8)),
        frame(Kind.WINDOW_UPDATE, 0, 0, number(9)),
        frame(Kind.GOAWAY, 0, 0, bytes(8)),
    ),
    (_call(1, _HUFFMAN, _MESSAGE), _call(5, _EARLIER, b"")),
)
SEEDS = [bytes((n,)) + _PREFACE + b"".join(frames) for n, frames in enumerate(_SAID)]


def run(data: bytes) -> None:
    """The connection goes on or ends; it never raises, and says no more than it was asked for."""
    if not data:
        return
    connection, pieces, said = http2.Connection(), 1 + data[0] % 8, data[1:]
    size = max(1, len(said) // pieces)
    for at in range(0, len(said), size):
        for request in connection.receive(said[at : at + size]):
            with suppress(ValueError):
                protobuf.fields(request.message)
            if len(request.message) % 2:
                connection.refuse(request, http2.INVALID_ARGUMENT, request.path)
            else:
                connection.respond(request, request.message)
    assert len(connection.output) < 200 + 100 * len(said), "a small request, a large answer"
    with suppress(hpack.HpackError):
        hpack.Decoder().decode(said)
    with suppress(ValueError):
        protobuf.fields(said)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change frames behind the preface: their order, flags, streams and payload."""
    if not data[1:].startswith(_PREFACE) or not rng.randrange(8):
        return mutations.octets(data, rng)
    frames, rest = [], data[1 + len(_PREFACE) :]
    while len(rest) >= 9:
        end = 9 + int.from_bytes(rest[:3], "big")
        frames.append((rest[3], rest[4], rest[8], rest[9:end]))
        rest = rest[end:]
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(frames) + 1)
        match rng.randrange(6):
            case 0 if frames:
                del frames[at % len(frames)]
            case 1 if frames:
                frames.insert(at, rng.choice(frames))
            case 2:
                frames.insert(at, (rng.randrange(11), rng.randrange(256), rng.randrange(8), b""))
            case 3 if frames:
                kind, flags, stream, body = frames[at % len(frames)]
                frames[at % len(frames)] = kind, flags ^ 1 << rng.randrange(8), stream, body
            case _ if frames:
                kind, flags, stream, body = frames[at % len(frames)]
                frames[at % len(frames)] = kind, flags, stream, mutations.octets(body, rng)
    made = b"".join(frame(kind, flags, stream, body) for kind, flags, stream, body in frames)
    return bytes((rng.randrange(8),)) + _PREFACE + made
