"""A `serve` that is started ahead of its guests, and guests that change while it starts."""

import itertools
import logging
import time
from contextlib import suppress
from dataclasses import replace

from binding.process.loop import Loop
from binding.sidecar.serve_child import ServeChild
from tests.bed.launcher import collect
from tests.bed.netns import netns
from tests.bed.packet_sockets import packet_socket
from tests.bed.pod import pod
from tests.bed.sidecar import sidecar
from tests.bed.wait import Limit, until
from tests.netns.test_standby import OFFER, discover
from tests.samples import GUEST, OWN_DOMAIN, vmi_json

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


def test_the_serve_that_was_started_ahead_is_the_one_that_serves():
    def pid():
        return next(p["pid"] for p in side.status()["processes"] if p["name"] == "serve")

    with pod("flat") as made, sidecar(made) as side, collect(side.hooks_dir) as hook:
        ahead = until(pid, "a serve ahead of its guests")
        made.netns.ip("link add cni0 type veth peer name cni1")  # at which the sidecar looks
        time.sleep(1)
        hook.define(OWN_DOMAIN, vmi_json())
        assert pid() == ahead
