"""Guests that change while their `serve` starts, on a real link and with a real `serve`."""

import itertools
import logging
from contextlib import suppress
from dataclasses import replace

from binding.process.loop import Loop
from binding.sidecar.serve_child import ServeChild
from tests.bed.netns import netns
from tests.bed.packet_sockets import packet_socket
from tests.bed.wait import Limit
from tests.netns.test_standby import OFFER, discover
from tests.samples import GUEST

ONE = replace(GUEST, provider="in-pod", lease=600)
OTHER = replace(ONE, lease=1200)


def offer_after_changes(far):
    """Change the guests again and again until `serve` serves them; return them and its OFFER."""
    loop, limit = Loop(), Limit(30)
    child = ServeChild(loop, lambda _report: None)
    guests = itertools.cycle((OTHER, ONE))
    found = []

    async def begin():
        await child.serve((ONE,))  # its packet sockets are open; it goes on importing
        change(None, None)

    def change(told, served):
        if served is not None and served.done:
            far.send(discover(ONE.mac))
            hear(told)
            return
        told = next(guests)
        served = loop.spawn(child.serve((told,)))
        loop.after(0.005, lambda: change(told, served))

    def hear(told):
        with suppress(BlockingIOError):
            while (frame := far.recv(2000))[282:285] != OFFER:
                pass
            found.append((told, frame))
        if found or limit.over():
            loop.stop()
        loop.after(0.02, lambda: hear(told))

    loop.spawn(begin())
    loop.run()
    child.close()
    loop.run_while(lambda: child.child.is_there, 5)
    return found


def test_the_last_guests_are_served_whenever_they_change(caplog):
    """Also between the moment when `serve` is sent guests and its answer."""
    with netns("start") as space:
        space.ip("link add tap0 type veth peer name far\nlink set tap0 up\nlink set far up")
        with packet_socket(space, "far") as far:
            far.settimeout(0)
            [(told, offer)] = space.call(lambda: offer_after_changes(far))
    assert b"\x33\x04" + told.lease.to_bytes(4, "big") in offer
    assert not [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
