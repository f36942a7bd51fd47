"""The hook socket of a running sidecar, as virt-launcher and worse callers use it."""

import os
import signal
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from proto import info_pb2, info_pb2_grpc
from tests.bed.launcher import INFO, collect
from tests.bed.pod import pod
from tests.bed.processes import memory
from tests.bed.sidecar import sidecar
from tests.bed.wait import crowd, until

MIB = 2**20


@contextmanager
def running(**environ):
    with pod("flat") as made, sidecar(made, **environ) as side, collect(side.hooks_dir):
        yield side


@pytest.fixture
def side():
    with running() as side:
        yield side


@pytest.fixture
def side_without_hooks():
    with running(DSBRIDGE_HOOKS_LINGER="0.5") as side:
        until(lambda: hooks(side) is None, "hooks leaves")
        yield side


def hooks(side):
    """Return the pid of the hooks program, None when there is none."""
    return next(one["pid"] for one in side.status()["processes"] if one["name"] == "hooks")


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def path(side):
    return next(str(entry) for entry in side.hooks_dir.glob("*.sock"))


def connected(side):
    raw = socket.socket(socket.AF_UNIX)
    raw.connect(path(side))
    return raw


def ask(channel, timeout=INFO, *, dials_again=None):
    limit, info = timeout * crowd(), info_pb2_grpc.InfoStub(channel).Info
    return info(info_pb2.InfoParams(), timeout=limit, wait_for_ready=dials_again).name


def dialled(side, timeout=10):
    """Ask over a connection of its own, as virt-launcher does for each call."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"unix:{path(side)}", options) as channel:
        return ask(channel, timeout, dials_again=True)  # also as virt-launcher does


def test_hooks_leaves_when_nobody_calls_and_the_next_connection_starts_it(side_without_hooks):
    side = side_without_hooks
    for _ in range(3):
        assert dialled(side) == "dsbridge"
        until(lambda: hooks(side) is None, "hooks leaves")
        assert Path(path(side)).is_socket()
    restarts = {one["name"]: one["restarts"] for one in side.status()["processes"]}
    assert restarts["hooks"] == 0


def test_a_caller_that_stays_connected_keeps_hooks_and_is_answered_again():
    with (
        running(DSBRIDGE_HOOKS_LINGER="0.5") as side,
        grpc.insecure_channel(f"unix:{path(side)}") as channel,
    ):
        ask(channel, 10)
        pid = hooks(side)
        with pytest.raises(TimeoutError):
            until(lambda: hooks(side) != pid, "hooks leaves", 3)
        assert ask(channel) == "dsbridge"


def test_a_killed_hooks_is_started_by_the_next_connection(side):
    killed = hooks(side)
    os.kill(killed, signal.SIGKILL)
    until(lambda: hooks(side) is None, "its end is seen")
    assert dialled(side) == "dsbridge"
    assert hooks(side) not in (None, killed)
    restarts = {one["name"]: one["restarts"] for one in side.status()["processes"]}
    assert restarts["hooks"] == 1


def test_a_hung_hooks_is_killed_and_the_next_one_answers(side):
    hung = hooks(side)
    os.kill(hung, signal.SIGSTOP)
    until(lambda: hooks(side) != hung, "it is killed", 40)
    assert dialled(side) == "dsbridge"


def test_callers_that_say_nothing_or_nonsense_hold_up_nobody(side):
    with ExitStack() as stack:
        for said in (
            b"",
            b"GET / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\0" * 99,
        ):
            stack.enter_context(connected(side)).sendall(said)
        assert dialled(side) == "dsbridge"


def test_a_caller_that_hangs_up_at_once_leaves_nothing_behind(side):
    assert dialled(side) == "dsbridge"
    pid = hooks(side)
    until(lambda: descriptors(pid) == descriptors(pid), "quiet")
    before = descriptors(pid), descriptors(side.process.pid)
    for _ in range(100):
        connected(side).close()
    assert dialled(side) == "dsbridge"
    until(lambda: (descriptors(pid), descriptors(side.process.pid)) <= before, "all closed")


def test_many_callers_at_once_are_all_answered(side):
    with ExitStack() as stack:
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection each
        channels = [
            stack.enter_context(grpc.insecure_channel(f"unix:{path(side)}", options))
            for _ in range(20)
        ]
        calls = [
            info_pb2_grpc.InfoStub(one).Info.future(info_pb2.InfoParams(), timeout=10 * crowd())
            for one in channels
        ]
        assert {call.result().name for call in calls} == {"dsbridge"}


def test_thousands_of_silent_callers_cost_neither_an_answer_nor_memory(side):
    assert dialled(side) == "dsbridge"
    used = {pid: memory([pid]) for pid in (side.process.pid, hooks(side))}
    with ExitStack() as stack:
        for _ in range(3_000):
            raw = stack.enter_context(socket.socket(socket.AF_UNIX))
            raw.connect(path(side))  # waits for room in the backlog, as a timeout would not
        assert dialled(side) == "dsbridge"
    for pid, before in used.items():
        assert memory([pid]) <= before + 4 * MIB
    assert dialled(side) == "dsbridge"


def test_a_bad_value_in_the_environment_is_named_and_ends_nothing():
    bad = {
        "DSBRIDGE_LOG": "loud",
        "DSBRIDGE_HOOKS_LINGER": "soon",
        "DSBRIDGE_CLOUD_INIT": "yes",
        "DSBRIDGE_VMI": "[1",
    }
    with running(**bad) as side:
        assert dialled(side) == "dsbridge"
        for name, value in bad.items():
            if name != "DSBRIDGE_VMI":  # ours, from one program to the next
                assert side.log.count(f"{name}={value} is n") >= 1
        assert [one["restarts"] for one in side.status()["processes"]] == [0, 0, 0]
