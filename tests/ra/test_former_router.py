"""A guest that came by migration and still sends by the router of its former node."""

from __future__ import annotations

import pytest

from ra import guest_input
from ra.state import Action
from tests.ra.nd_wire import (
    GATEWAY4,
    GATEWAY6,
    NEW_LL,
    NEW_MAC,
    OLD_LL,
    OLD_MAC,
    Clocked,
    asked,
    guest,
    sources,
    targets,
)

HERE = {OLD_MAC: {str(GATEWAY4), str(GATEWAY6), OLD_LL}}
"""The gateway of this node. NEW_MAC is that of the former node here."""


def arrived(stations: dict[str, set[str]], *, migrated: bool = True) -> Clocked:
    """Return the session of a guest that has just sent its first frame."""
    one = Clocked(guest(migration_target=migrated), stations=stations)
    one.stirs()
    return one


def sends_to(one: Clocked, mac: str) -> list[Action]:
    return one._take(guest_input.sends_to(one.state, one.guest, mac, one.now))


def test_it_is_ended_within_a_second_of_the_first_frame_to_it():
    one = arrived(HERE)
    actions = sends_to(one, NEW_MAC) + one.run(1.0)
    assert NEW_LL in targets(actions)
    assert (NEW_LL, 0) in sources(actions)


def test_the_guest_is_told_its_router_here_before_the_former_one_is_ended():
    silent = arrived({})  # the network of this node is not there yet
    actions = sends_to(silent, NEW_MAC) + silent.run(0.9)
    assert (NEW_LL, 0) not in sources(actions)
    silent.stations = HERE
    told = sources(silent.run(5.0))
    assert (OLD_LL, 65535) in told
    assert (NEW_LL, 0) in told[told.index((OLD_LL, 65535)) :]


@pytest.mark.parametrize(
    ("stations", "mac"),
    [
        pytest.param(HERE, OLD_MAC, id="the gateway of this node"),
        pytest.param(HERE | {NEW_MAC: {NEW_LL}}, NEW_MAC, id="another router of this network"),
    ],
)
def test_a_router_that_somebody_here_answers_for_stays(stations: dict[str, set[str]], mac: str):
    one = arrived(stations)
    actions = sends_to(one, mac) + one.run(60.0)
    assert all(lifetime for address, lifetime in sources(actions) if address in {OLD_LL, NEW_LL})


def test_a_gateway_that_is_slow_to_answer_is_not_taken_for_a_former_one():
    one = arrived({})
    actions = sends_to(one, OLD_MAC) + one.run(0.9)
    one.stations = HERE
    actions += one.run(60.0)
    assert (OLD_LL, 65535) in sources(actions)
    assert (OLD_LL, 0) not in sources(actions)


def test_no_router_is_ended_of_a_guest_that_did_not_migrate():
    one = arrived(HERE, migrated=False)
    one.run(10.0)
    assert asked(sends_to(one, NEW_MAC)) == []
    assert (NEW_LL, 0) not in sources(one.run(60.0))
