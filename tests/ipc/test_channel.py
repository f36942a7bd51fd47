"""Messages between the sidecar and its programs, over a real socket pair."""

import os
import socket
from pathlib import Path

import pytest

from binding.ipc import channel
from binding.ipc.messages import Alive, Ask, Defined, Report, Serve, Serving
from tests.samples import GUEST


def sized(size):
    return Defined(1, "x" * size)


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
        said = Serving(1, ("x" * size,))
        assert channel.send(ours, said, [one.fileno()])
        message, (copy,) = channel.receive(theirs)
        assert message == said
        assert os.fstat(copy).st_ino == os.fstat(one.fileno()).st_ino
        os.close(copy)


def test_a_large_message_leaves_no_descriptor_open(ends):
    ours, theirs = ends

    before = opened()
    for _ in range(3):
        channel.send(ours, sized(300_000))
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


def opened():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_message_in_a_file_that_is_not_there_is_no_message(ends):
    ours, theirs = ends
    ours.send(b"\0")
    with pytest.raises(ValueError, match="not there"):
        channel.receive(theirs)


def test_a_file_that_would_fill_memory_is_not_read(ends):
    ours, theirs = ends
    with open(os.memfd_create("message"), "w+b") as file:  # noqa: PTH123  # a descriptor
        os.ftruncate(file.fileno(), 1 << 40)
        socket.send_fds(ours, [b"\0"], [file.fileno()])
    with pytest.raises(ValueError, match="the most are"):
        channel.receive(theirs)


@pytest.mark.parametrize("said", [b'["Alive",{}]', b"{", b'["Serving",{"number":1,"sockets":[]}]'])
def test_descriptors_that_nobody_asked_for_are_closed(ends, said):
    ours, theirs = ends
    before = opened()
    with socket.socket(socket.AF_UNIX) as one:
        socket.send_fds(ours, [said], [one.fileno()] * 3)
    with pytest.raises(ValueError, match=r"3 descriptors|TypeError|Expecting"):
        channel.receive(theirs)
    assert opened() == before


def test_a_peer_that_does_not_keep_up_or_is_gone_is_said_so(ends):
    ours, theirs = ends
    while channel.send(ours, sized(30_000)):
        pass
    theirs.close()
    assert not channel.send(ours, Ask())


def test_the_end_of_the_peer_is_none_and_no_message_is_an_error(ends):
    ours, theirs = ends
    with pytest.raises(BlockingIOError):
        channel.receive(ours)
    theirs.close()
    assert channel.receive(ours) is None


@pytest.mark.parametrize(
    "said",
    [
        b"{",
        b"[]",
        b"5",
        b'["Unknown",{}]',
        b'["Defined",{"number":"one"}]',
        b'["Defined",{"number":1,"more":2}]',
        b"[" * 50_000,
    ],
)
def test_what_is_no_message_is_said_to_be_none(ends, said):
    ours, theirs = ends
    ours.send(said)
    with pytest.raises(ValueError, match=r"no message|Error|Expecting|argument|nested"):
        channel.receive(theirs)


@pytest.mark.parametrize(
    "message", [Ask(), Alive(), Report(()), Serve(1, (GUEST,), {}, (), (), (), ())]
)
def test_a_message_arrives_as_it_was_sent(ends, message):
    ours, theirs = ends
    assert channel.send(ours, message)
    received, _ = channel.receive(theirs)
    assert type(received) is type(message)
    assert received == message
