"""The sidecar ends once no guest may need it any more, and for no other reason."""

from __future__ import annotations

from binding.process.loop import Loop
from binding.sidecar.ending import Ending
from tests.bed.netns import netns


def goes_on(say):
    """Whether a loop goes on after `say`, of a guest that was there."""
    with netns("end") as space:
        return space.call(lambda: went_on_after(say))


def went_on_after(say):
    loop, taps, went_on = Loop(), ["lo"], []
    ending = Ending(loop, lambda: tuple(taps))
    ending.look()  # lo has a carrier, as a tap that QEMU reads
    loop.after(0.3, lambda: went_on.append(True))
    loop.after(0.3, loop.stop)
    say(ending, taps)
    loop.run()
    return bool(went_on)


def test_a_lost_connection_does_not_end_a_sidecar_whose_guests_are_served_by_others_now():
    def say(ending, taps):
        taps.clear()  # `dsbridge reload` with `provider: off`
        ending.lost()

    assert goes_on(say)


def test_a_lost_connection_does_not_end_a_sidecar_whose_tap_is_read():
    assert goes_on(lambda ending, _: ending.lost())


def test_sigterm_ends_at_once_a_sidecar_that_serves_nobody():
    def say(ending, taps):
        taps.clear()
        ending.terminated()

    assert not goes_on(say)


def test_sigterm_does_not_end_a_sidecar_whose_tap_is_read():
    assert goes_on(lambda ending, _: ending.terminated())
