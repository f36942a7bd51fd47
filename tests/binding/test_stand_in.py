"""While nobody serves: real sockets, real time, notes made by hand."""

import asyncio
import socket
import time

import pytest

from binding.notes import Notes, Repeat, Step
from binding.port import Port
from binding.rest import Rest


class Links:
    """tap and NIC as pairs of unix sockets; the far ends are guest and network."""

    def __init__(self):
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        pairs = {name: socket.socketpair(socket.AF_UNIX, kind) for name in ("tap0", "eth0-nic")}
        self.ports = {name: Port(name, near) for name, (near, _) in pairs.items()}
        self.guest, self.network = (far for _, far in pairs.values())

    def close(self):
        for end in (self.guest, self.network, *(port.socket for port in self.ports.values())):
            end.close()


@pytest.fixture
def links():
    made = Links()
    yield made
    made.close()


def notes(**known):
    return Notes("default", "tap0", "eth0-nic", "before", **known)


def resting(links, note, act, seconds=0.3):
    """Rest for a while; returns what woke it and the notes at the end."""
    woken = []

    async def run():
        rest = Rest((note,), links.ports, woken.append)
        act()
        await asyncio.sleep(seconds)
        return rest.end()

    return woken, asyncio.run(run())


def heard(end):
    frames = []
    while True:
        try:
            frames.append(end.recv(2000))
        except BlockingIOError:
            return frames


def later(seconds):
    """A moment on the loop's clock."""
    return time.monotonic() + seconds


def test_a_planned_frame_goes_out_at_its_time_and_the_notes_move_on(links):
    plan = (
        Step(later(0.1), (b"RA",), (b"NS",), "after the first"),
        Step(later(60), (b"later",), (), "after the second"),
    )
    woken, (after,) = resting(links, notes(steps=plan), lambda: None)
    assert (heard(links.guest), heard(links.network)) == ([b"RA"], [b"NS"])
    assert not woken
    assert (after.session, after.steps) == ("after the first", plan[1:])


def test_the_end_of_the_plan_wakes_whoever_makes_the_next(links):
    plan = (Step(later(0.1), (b"RA",), (), "after"),)
    woken, _ = resting(links, notes(steps=plan), lambda: None)
    assert woken == [()]


def test_a_repeated_request_is_answered_and_wakes_nobody(links):
    known = (Repeat(b"NS", (b"NA",), (b"NS of the gateway",)),)
    woken, _ = resting(links, notes(repeats=known), lambda: links.guest.send(b"NS"))
    assert (heard(links.guest), heard(links.network)) == ([b"NA"], [b"NS of the gateway"])
    assert not woken


def test_any_other_frame_wakes_with_that_frame_and_leaves_the_rest_in_the_socket(links):
    def act():
        links.guest.send(b"DISCOVER")
        links.guest.send(b"SOLICIT")

    async def run():
        woken = []
        rest = Rest((notes(),), links.ports, lambda first: (woken.append(first), rest.end()))
        act()
        await asyncio.sleep(0.2)
        return woken

    ((frame,),) = asyncio.run(run())
    assert (frame[0], frame[1].frame) == ("tap0", b"DISCOVER")
    assert links.ports["tap0"].socket.recv(2000) == b"SOLICIT"


def test_a_flood_of_repeats_is_for_serve_to_judge(links):
    known = (Repeat(b"NS", (b"NA",), ()),)

    async def run():
        woken = []
        rest = Rest(
            (notes(repeats=known),), links.ports, lambda first: (woken.append(first), rest.end())
        )
        for _ in range(50):
            links.guest.send(b"NS")
        await asyncio.sleep(0.2)
        return woken

    assert len(asyncio.run(run())) == 1
    assert len(heard(links.guest)) <= 5
