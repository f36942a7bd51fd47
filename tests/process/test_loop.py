"""The event loop of sidecar and hooks."""

from __future__ import annotations

import socket

from binding.process.loop import Loop


def test_a_descriptor_that_a_callback_of_the_same_turn_has_closed_is_not_read(caplog):
    loop, read = Loop(), []
    pairs = [socket.socketpair() for _ in range(2)]

    def readable(one):
        read.append(one.recv(1))
        for ours, theirs in pairs:
            loop.unwatch(ours)
            ours.close()
            theirs.close()

    for ours, theirs in pairs:
        theirs.send(b"x")
        loop.watch(ours, lambda ours=ours: readable(ours))
    loop.run_while(lambda: not read, 5)
    assert read == [b"x"]
    assert not caplog.records
