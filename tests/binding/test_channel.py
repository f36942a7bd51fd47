"""Messages between the two long-lived processes, over a real socket pair."""

import os
import socket
from pathlib import Path

import pytest

from binding.ipc import channel


@pytest.fixture
def ends():
    pair = channel.pair()
    yield pair
    for end in pair:
        end.close()


@pytest.mark.parametrize("size", [1, 60_000, 300_000, 3_000_000])
def test_a_message_of_any_size_arrives_whole_with_its_descriptors(ends, size):
    ours, theirs = ends
    with socket.socket(socket.AF_UNIX) as one:
        assert channel.send(ours, {"text": "x" * size}, [one.fileno()])
        message, (copy,) = channel.receive(theirs)
        assert message == {"text": "x" * size}
        assert os.fstat(copy).st_ino == os.fstat(one.fileno()).st_ino
        os.close(copy)


def test_a_large_message_leaves_no_descriptor_open(ends):
    ours, theirs = ends

    def opened():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = opened()
    for _ in range(3):
        channel.send(ours, {"text": "x" * 300_000})
        channel.receive(theirs)
    assert opened() == before


def test_a_pipe_in_the_place_of_a_large_message_is_not_waited_for(ends):
    ours, theirs = ends
    reading, writing = os.pipe()
    socket.send_fds(ours, [b"\0"], [reading])
    with pytest.raises(ValueError, match="no regular file"):
        channel.receive(theirs)
    os.close(reading)
    os.close(writing)


def test_a_peer_that_does_not_keep_up_or_is_gone_is_said_so(ends):
    ours, theirs = ends
    while channel.send(ours, {"text": "x" * 30_000}):
        pass
    theirs.close()
    assert not channel.send(ours, {})


def test_the_end_of_the_peer_is_none_and_no_message_is_an_error(ends):
    ours, theirs = ends
    with pytest.raises(BlockingIOError):
        channel.receive(ours)
    theirs.close()
    assert channel.receive(ours) is None
