"""The gRPC server of hooks, asked by gRPC's own client over a real socket, and by worse ones."""

import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from binding.hooks import hpack, protobuf
from binding.hooks.http2 import Connection
from tests.bed.raw_http2 import GOAWAY, PING, PREFACE, SETTINGS, connected, frame, frames, headers
from tests.bed.wait import until


def call(server, method, message, **given):
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"unix:{server.path}", options) as channel:
        return channel.unary_unary(f"/a.B/{method}")(message, timeout=30, **given)


def test_a_caller_is_greeted_before_it_says_anything(server):
    with connected(server) as raw:
        assert next(frames(raw))[0] == SETTINGS


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_384, 65_535, 65_536, 300_000, 3_000_000])
def test_messages_of_every_size_go_both_ways(server, size):
    message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert call(server, "Echo", message) == message


def test_a_message_larger_than_the_limit_is_refused_by_name(server):
    with pytest.raises(grpc.RpcError) as refused:
        call(server, "Echo", b"x" * (5 * 2**20))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert call(server, "Echo", b"and on it goes") == b"and on it goes"


def test_many_calls_of_one_connection_and_of_many(server):
    with grpc.insecure_channel(f"unix:{server.path}") as channel, ThreadPoolExecutor(40) as many:
        echo = channel.unary_unary("/a.B/Late")
        said = [b"%d" % n for n in range(100)]
        metadata = [("x-long", "y" * 900), ("x-bin", b"\0\xff")]
        # Above 16 calls at a time the client has to wait its turn.
        asked = [many.submit(echo, one, timeout=60, metadata=metadata) for one in said]
        assert [one.result() for one in asked] == said


def test_a_refusal_arrives_whole_and_with_its_status(server):
    text = "networks „grün“: 100 % refused\n" + "long " * 400
    with pytest.raises(grpc.RpcError) as refused:
        call(server, "No", text.encode())
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == text


@pytest.mark.parametrize("text", ["a" + "ü" * 3000, "%" * 5000, "\U0001f600" * 2000])
def test_a_long_refusal_is_cut_between_two_characters(server, text):
    with pytest.raises(grpc.RpcError) as refused:
        call(server, "No", text.encode())
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith(refused.value.details())
    assert len(refused.value.details()) > 300


def test_a_bug_is_an_internal_error_and_an_unknown_method_unimplemented(server):
    for method, code in (("Bug", "INTERNAL"), ("Nothing", "UNIMPLEMENTED")):
        with pytest.raises(grpc.RpcError) as refused:
            call(server, method, b"")
        assert refused.value.code() == grpc.StatusCode[code]


def test_a_compressed_message_is_refused(server):
    with pytest.raises(grpc.RpcError) as refused:
        call(server, "Echo", b"x" * 1000, compression=grpc.Compression.Gzip)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_caller_that_waits_no_longer_is_forgotten(server):
    with grpc.insecure_channel(f"unix:{server.path}") as channel:
        late = channel.unary_unary("/a.B/Late")
        for _ in range(10):
            waiting = late.future(b"x")
            time.sleep(0.002)
            waiting.cancel()
        assert late(b"y", timeout=10) == b"y"
    until(lambda: not server.is_busy, "nothing is under way")


def test_who_goes_without_a_call_is_told(server):
    connected(server).close()
    until(lambda: len(server.lost) == 1, "it is told")
    call(server, "Echo", b"")
    until(lambda: not server._callers, "it has gone")
    assert len(server.lost) == 1


def test_an_idle_caller_is_told_to_connect_anew(server, monkeypatch):
    monkeypatch.setattr("binding.hooks.grpc_server._LONGEST_IDLE", 0.1)
    with connected(server) as raw:
        raw.sendall(PREFACE + frame(SETTINGS))
        time.sleep(0.2)
        server.idle()
        assert GOAWAY in [kind for kind, *_ in frames(raw)]


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        PREFACE + b"\xff" * 99,
        PREFACE + frame(SETTINGS, 0, 0, b"short"),
        PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31)),
        PREFACE + frame(1, 4, 2, headers()),
        PREFACE + frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        PREFACE + frame(1, 0, 1, headers()) + frame(0, 1, 1, b"\0\0\0\0\0"),
        PREFACE + frame(1, 0, 1, b"") + frame(9, 0, 1, b"\0" * 16_000) * 3,
        PREFACE + frame(0, 1, 1, b"\0\0\0\0\0"),
        PREFACE + frame(8, 0, 0, struct.pack(">I", 2**31 - 1)),
        PREFACE + frame(5, 0, 1, b""),
        PREFACE + frame(9, 0, 1, b""),
        PREFACE + frame(1, 4 | 8, 1, b"\xff"),
    ],
)
def test_who_breaks_the_protocol_is_told_so_and_hung_up_on(server, said):
    with connected(server) as raw:
        raw.sendall(said)
        assert list(frames(raw))[-1][0] == GOAWAY
    assert call(server, "Echo", b"x") == b"x"


def test_a_ping_comes_back_and_what_is_no_grpc_is_refused(server):
    with connected(server) as raw:
        raw.sendall(PREFACE + frame(SETTINGS) + frame(PING, 0, 0, b"12345678"))
        raw.sendall(frame(1, 4 | 1, 1, headers(kind=b"text/html")))
        seen = iter(frames(raw))
        assert (PING, 1, 0, b"12345678") in [next(seen) for _ in range(3)]
        kind, flags, stream, block = next(seen)
        assert (kind, flags, stream) == (1, 5, 1)
        assert hpack.Decoder().decode(block) == [(b":status", b"415")]


def test_a_caller_that_reads_nothing_holds_up_nobody(server):
    with connected(server) as raw:
        wide = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31 - 1))
        wide += frame(8, 0, 0, struct.pack(">I", 2**30))
        raw.sendall(PREFACE + wide)
        raw.sendall(frame(1, 4, 1, headers()))
        message = b"x" * 2_000_000
        body = struct.pack(">BI", 0, len(message)) + message
        for at in range(0, len(body), 16_384):
            part = body[at : at + 16_384]
            raw.sendall(frame(0, int(at + 16_384 >= len(body)), 1, part))
        assert call(server, "Echo", b"y") == b"y"
        got = b""
        for kind, flags, stream, payload in frames(raw):
            got += payload if (kind, stream) == (0, 1) else b""
            if kind == 1 and flags & 1:
                break
        assert got == body


@given(st.binary(max_size=200), st.lists(st.integers(1, 60), max_size=8))
@settings(max_examples=300, deadline=None)
def test_no_octets_of_a_client_raise(tail, cuts):
    connection = Connection()
    block = headers()
    said = PREFACE + frame(SETTINGS) + frame(1, 4, 1, block) + frame(0, 1, 1, b"\0\0\0\0\1x") + tail
    for at in cuts:
        connection.receive(said[:at])
        said = said[at:]
    connection.receive(said)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_message_raises_anything_but_value_error(message):
    for read in (protobuf.fields, lambda octets: hpack.Decoder().decode(octets)):
        with suppress(ValueError):
            read(message)


def test_header_fields_as_the_rfc_writes_them():
    # RFC 7541 appendix C.4: three requests of one connection, coded by Huffman.
    decoder = hpack.Decoder()
    host = (b":authority", b"www.example.com")
    start = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), host]
    for octets, fields in (
        ("828684418cf1e3c2e5f23a6ba0ab90f4ff", start),
        ("828684be5886a8eb10649cbf", [*start, (b"cache-control", b"no-cache")]),
        (
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
            [
                (b":method", b"GET"),
                (b":scheme", b"https"),
                (b":path", b"/index.html"),
                host,
                (b"custom-key", b"custom-value"),
            ],
        ),
    ):
        assert decoder.decode(bytes.fromhex(octets)) == fields


def test_the_dynamic_table_is_emptied_from_its_end():
    # RFC 7541 appendix C.6: responses by a table of 256 octets.
    decoder = hpack.Decoder()
    decoder.decode(bytes.fromhex("3fe101"))
    first = decoder.decode(
        bytes.fromhex(
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f"
            "0b97c8e9ae82ae43d3"
        )
    )
    assert first[0] == (b":status", b"302")
    assert first[3] == (b"location", b"https://www.example.com")
    assert decoder.decode(bytes.fromhex("4883640effc1c0bf"))[0] == (b":status", b"307")
    with pytest.raises(hpack.HpackError):
        decoder.decode(bytes.fromhex("c2"))  # the oldest has made room
