"""Two dsbridges in one pod: one serves each tap, the other says so and takes over when it ends."""

from __future__ import annotations

import signal
from contextlib import ExitStack

import pytest

from tests.bed import handler
from tests.bed.cable import cable
from tests.bed.capture import capture
from tests.bed.diagnosis import run
from tests.bed.launcher import collect
from tests.bed.pod import pod
from tests.bed.sidecar import sidecar
from tests.bed.udhcpc import leased
from tests.bed.wait import until
from tests.samples import MANAGED_DOMAIN, OWN_DOMAIN, vmi_json

VMI = vmi_json()


def answers(side):
    return side.status()["guests"][0]["counters"].get("ACK", 0)


def warnings(side):
    return side.status()["guests"][0]["warnings"]


@pytest.mark.parametrize("shape", ["managed", "own"])
def test_the_first_serves_the_tap_and_the_second_when_the_first_has_ended(shape):
    domain = MANAGED_DOMAIN if shape == "managed" else OWN_DOMAIN
    with ExitStack() as stack:
        made = stack.enter_context(pod("flat"))
        first, second = (
            stack.enter_context(sidecar(made, name=name)) for name in ("hook-sidecar-0", "dsbridge")
        )
        hooks = [stack.enter_context(collect(one.hooks_dir)) for one in (first, second)]
        if shape == "managed":
            handler.managed_tap(made.netns)
        edited = hooks[1].define(hooks[0].define(domain, VMI), VMI)
        assert edited.count("<interface") == 1
        assert not warnings(first)
        (warning,) = warnings(second)
        assert "another dsbridge in this pod has tap0" in warning
        said = run(made.netns, second.hooks_dir, "diagnose")
        assert warning in said.stdout
        assert "#two-sidecars" in said.stdout
        assert said.returncode == 1

        guest = stack.enter_context(cable(made.netns, mac=made.layout.mac))
        with capture(guest, "eth0") as at_the_guest:
            guest.ip("link set eth0 up")
            assert leased(guest)
            replies = [one for one in at_the_guest.read().received if b"\x35\x01\x05" in one]
            assert len(replies) == 1, "one ACK"
        until(lambda: answers(first) == 1, "its report")
        assert answers(second) == 0
        assert first.log.count("another program changed the guard") == 0

        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        until(lambda: not warnings(second), "the second takes over", 10)
        assert "resolved: another dsbridge" in second.log
        assert leased(guest)
        until(lambda: answers(second) == 1, "its report")
