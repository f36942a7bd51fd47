"""The hook socket of a running sidecar, as virt-launcher and worse callers use it."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from proto import info_pb2, info_pb2_grpc
from tests.bed.launcher import INFO, collect
from tests.bed.pod import pod
from tests.bed.processes import family, threads
from tests.bed.sidecar import sidecar
from tests.bed.wait import until

pytestmark = pytest.mark.netns
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 section 3.4


@pytest.fixture
def side():
    with pod("flat") as made, sidecar(made) as running, collect(running.hooks_dir):
        yield running


def is_alone(side):
    """Whether its main thread is its only one."""
    return len(threads(side.process.pid)) == 1


def descriptors(side):
    return len(list(Path(f"/proc/{side.process.pid}/fd").iterdir()))


def path(side):
    return next(str(entry) for entry in side.hooks_dir.glob("*.sock"))


def connected(side):
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(10)
    raw.connect(path(side))
    return raw


def ask(channel, timeout=INFO):
    return info_pb2_grpc.InfoStub(channel).Info(info_pb2.InfoParams(), timeout=timeout).name


def test_no_thread_but_one_is_left_when_nobody_calls_and_the_next_call_is_answered(side):
    for _ in range(3):
        with grpc.insecure_channel(f"unix:{path(side)}") as channel:
            assert ask(channel) == "dsbridge"
        until(lambda: is_alone(side), "gRPC's threads end", 10)


def test_a_caller_that_stays_connected_keeps_no_thread_and_is_answered_again(side):
    with grpc.insecure_channel(f"unix:{path(side)}") as channel:
        ask(channel)
        until(lambda: is_alone(side), "gRPC's threads end", 10)
        assert ask(channel) == "dsbridge"


def test_callers_that_say_nothing_or_nonsense_hold_up_nobody(side):
    with ExitStack() as stack:
        for said in (
            b"",
            b"GET / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\0" * 99,
        ):
            stack.enter_context(connected(side)).sendall(said)
        with grpc.insecure_channel(f"unix:{path(side)}") as channel:
            assert ask(channel) == "dsbridge"


def test_a_caller_that_hangs_up_at_once_leaves_nothing_behind(side):
    until(lambda: family(side.process.pid)[1:] and is_alone(side), "rest", 10)
    before = descriptors(side)
    for _ in range(100):
        connected(side).close()
    with grpc.insecure_channel(f"unix:{path(side)}") as channel:
        ask(channel)
    until(lambda: is_alone(side) and descriptors(side) == before, "rest", 10)


def test_many_callers_at_once_are_all_answered(side):
    with ExitStack() as stack:
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection each
        channels = [
            stack.enter_context(grpc.insecure_channel(f"unix:{path(side)}", options))
            for _ in range(20)
        ]
        calls = [
            info_pb2_grpc.InfoStub(one).Info.future(info_pb2.InfoParams(), timeout=10)
            for one in channels
        ]
        assert {call.result().name for call in calls} == {"dsbridge"}


def test_one_that_is_silent_is_hung_up_on(side):
    with connected(side) as raw:
        begun = time.monotonic()
        while raw.recv(4096):  # gRPC's own greeting, then its good-bye
            pass
        assert time.monotonic() - begun < 30
