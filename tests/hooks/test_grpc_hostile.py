"""Peers of the hook socket that mean harm, or hang: the next honest call is answered as ever."""

import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import grpc
import pytest

from tests.bed.raw_http2 import (
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PREFACE,
    RST,
    SETTINGS,
    connected,
    frame,
    frames,
    headers,
    request,
    setting,
)
from tests.bed.wait import Limit, until

MIB = 2**20
NO_WINDOW = PREFACE + setting(INITIAL_WINDOW_SIZE, 0)


def honest(server, method="Echo", within=1.0):
    """Call as virt-launcher does, by a connection of its own."""
    limit = Limit(within)
    while True:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"unix:{server.path}", options) as channel:
            try:
                answer = channel.unary_unary(f"/a.B/{method}")(b"honest", timeout=60)
            except grpc.RpcError as error:
                # So many wait to be accepted that the kernel refuses one more: it dials again.
                if "failed to connect" not in error.details() or limit.over():
                    raise
                continue
        assert answer == b"honest"
        assert not limit.over()
        return


def greeted(server, said=PREFACE):
    """Connect, say this, and have the server read it."""
    raw = connected(server)
    raw.sendall(said + frame(6, 0, 0, b"read it?"))
    assert any(payload == b"read it?" for *_, payload in frames(raw))
    return raw


@contextmanager
def heard(raw):
    """Read whatever the server says: it reads no further while its own words find no room."""

    def read():
        with suppress(OSError):
            while raw.recv(65_536):
                pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        with suppress(OSError):
            raw.shutdown(socket.SHUT_RDWR)
        reader.join()


def test_who_stays_connected_locks_nobody_out(server):
    with ExitStack() as held:
        for _ in range(130):
            held.enter_context(greeted(server))
        honest(server)


def test_ten_thousand_connections_lock_nobody_out(server):
    with ExitStack() as held:
        for each in range(10_000):
            if each % 100 == 0:
                held.close()
            with suppress(BlockingIOError):  # 512 wait already
                held.enter_context(connected(server))
        honest(server)
        assert len(server._callers) <= 128


def test_a_call_under_way_survives_ever_new_connections(server, caplog):
    answers = []
    late = threading.Thread(target=lambda: answers.append(honest(server, "Late", 20)))
    late.start()
    until(lambda: any(one.http2.is_working for one in server._callers), "the call is under way")
    with ExitStack() as held:
        for _ in range(200):
            held.enter_context(greeted(server))
        late.join()
    assert answers == [None]
    assert not caplog.records


def test_who_is_hung_up_on_while_it_speaks_is_no_bug(server, caplog):
    ending = threading.Event()

    def chatter():
        while not ending.is_set():
            with suppress(OSError), connected(server) as raw:
                raw.sendall(PREFACE + frame(SETTINGS) * 2000)

    many = [threading.Thread(target=chatter) for _ in range(4)]
    with ExitStack() as held:
        for one in many:
            one.start()
        for _ in range(500):
            with suppress(OSError):
                held.enter_context(connected(server)).sendall(PREFACE)
        ending.set()
        for one in many:
            one.join()
    honest(server)
    assert not caplog.records


def test_answers_that_are_not_taken_are_few(server):
    with connected(server) as raw:
        raw.sendall(NO_WINDOW)
        for stream in range(1, 81, 2):
            raw.sendall(request(stream, b"x" * 10_000))
        refused = (stream for kind, _, stream, _ in frames(raw) if kind == RST)
        assert [next(refused) for _ in range(24)] == list(range(33, 81, 2))
        assert sum(one.http2.held for one in server._callers) < 200_000
        honest(server)


def test_one_connection_does_not_hold_sixteen_requests_of_the_largest(server):
    with connected(server) as raw, heard(raw):
        raw.sendall(NO_WINDOW)
        sent = []
        with suppress(BrokenPipeError, ConnectionResetError):  # the fifth is too much
            for stream in range(1, 33, 2):
                raw.sendall(request(stream, b"x" * (4 * MIB - 5), b"/a.B/Late"))
                sent.append(stream)
                assert sum(one.http2.held for one in list(server._callers)) < 20 * MIB
        assert len(sent) < 16
        honest(server)


def test_all_connections_together_hold_no_more_than_the_container_has(server):
    half = frame(HEADERS, END_HEADERS, 1, headers()) + frame(DATA, 0, 1, b"x" * 16_384) * 200
    with ExitStack() as held:
        for _ in range(20):
            raw = held.enter_context(connected(server))
            with suppress(BrokenPipeError, ConnectionResetError):
                raw.sendall(PREFACE + frame(SETTINGS) + half)
            assert sum(one.http2.held for one in list(server._callers)) < 20 * MIB
        honest(server)


@pytest.mark.parametrize(
    "said",
    [
        PREFACE + frame(HEADERS, END_HEADERS, 1, headers()),
        PREFACE + setting(INITIAL_WINDOW_SIZE, 0) + request(1, b"x" * 100),
    ],
    ids=["half a request", "an answer that is not taken"],
)
def test_who_falls_silent_is_hung_up_on(server, monkeypatch, said):
    monkeypatch.setattr("binding.hooks.grpc_server._LONGEST_IDLE", 0.1)
    with greeted(server, said) as raw:
        time.sleep(0.2)
        server.idle()
        assert GOAWAY in [kind for kind, *_ in frames(raw)]


def test_who_reads_nothing_is_hung_up_on(server, monkeypatch):
    monkeypatch.setattr("binding.hooks.grpc_server._LONGEST_IDLE", 0.1)
    with connected(server) as raw:
        raw.settimeout(0.5)
        raw.sendall(PREFACE)
        with suppress(TimeoutError):
            while True:
                raw.sendall(frame(6, 0, 0, b"12345678") * 100)
        server.idle()
        assert not server._callers
