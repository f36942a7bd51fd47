"""When RAs go out, by a clock that only the test moves."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ra import guest_input
from ra.schedule import LONGEST
from ra.state import Solicit
from tests.ra.nd_wire import (
    GATEWAY6,
    GUEST_LL,
    OLD_MAC,
    Clocked,
    guest,
    nd,
    ra,
    replies,
    route,
    rs,
    vector,
)

CALICO = {"routes": (route("::/0", "fe80::ecee:eeff:feee:eeee"),)}
DAY = 86_400.0


def multicasts(one: Clocked) -> list[float]:
    """Return when RAs with a default router went to all nodes."""
    return [
        at
        for at, action in one.log
        if getattr(action, "reply", "") == "RA" and ra(action.frame).packet.dst.is_multicast
    ]


def test_a_guest_that_appears_gets_three_ras_soon():
    one = Clocked(guest(**CALICO))
    assert len(replies(one.stirs(), "RA")) == 1
    one.run(40)
    times = multicasts(one)
    assert len(times) == 3
    assert all(3 <= after - before <= 16 for before, after in pairwise(times))


def test_an_rs_that_shows_the_guest_is_answered_once():
    one = Clocked(guest(**CALICO))
    assert len(one.says(vector("rs-kernel"))) == 2  # the NS for the gateway's MAC, and the RA
    assert one.run(2.9) == [action for _, action in one.log if isinstance(action, Solicit)][1:]


def test_periodic_ras_keep_to_the_interval_and_jitter():
    one = Clocked(guest(**CALICO))
    one.stirs()
    one.run(60)
    del one.log[:]
    one.run(2 * DAY)
    times = multicasts(one)
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= 0.75 * LONGEST
    assert max(gaps) <= LONGEST
    assert len({round(gap) for gap in gaps}) > len(gaps) / 2


def test_guests_of_a_node_are_spread_over_time():
    firsts = set()
    for number in range(32):
        one = Clocked(guest(mac=f"52:54:00:12:34:{number:02x}"))
        firsts.add(round(guest_input.wake_at(one.state) or 0))
    assert len(firsts) > 24


def test_the_route_never_runs_out_while_we_live():
    assert ra(Clocked(guest(**CALICO)).stirs()[-1].frame).lifetime > 3 * LONGEST


@pytest.mark.parametrize("lease", [20, 60, 600, 1200, 3600, 7200])
def test_a_prefix_with_a_lease_is_announced_thrice_before_it_ends(lease):
    one = Clocked(guest(lease=lease, **CALICO))
    one.stirs()
    one.run(DAY / 4)
    times = multicasts(one)
    assert max(after - before for before, after in pairwise(times)) <= min(lease / 3, LONGEST)
    assert min(after - before for before, after in pairwise(times)) >= 3
    assert one.now - times[-1] <= lease / 3


def test_the_interval_runs_without_a_request_after_a_restart_of_ours():
    one = Clocked(guest(**CALICO))
    one.run(0.75 * LONGEST - 1)
    assert one.log == []
    one.run(0.25 * LONGEST + 1)
    assert multicasts(one)


def test_a_guest_that_arrives_by_migration_must_speak_first():
    one = Clocked(guest(migration_target=True, **CALICO))
    assert guest_input.wake_at(one.state) is None
    one.hears(vector("arp-kernel-moved"))
    one.run(DAY)
    assert one.log == []
    assert replies(one.stirs(), "RA")


def test_a_storm_of_unspecified_rs_costs_one_multicast_ra_per_three_seconds():
    one = Clocked(guest(**CALICO))
    for _ in range(3000):
        one.says(nd(rs(), src="::"))
        one.run(0.01)
    times = multicasts(one)
    assert 9 <= len(times) <= 11
    assert all(after - before >= 3 for before, after in pairwise(times))


def test_a_storm_of_rs_costs_bounded_unicast_and_ends_with_an_answer():
    one = Clocked(guest(**CALICO))
    for number in range(3000):
        one.says(nd(rs(), src=f"fe80::{number:x}"))
        one.run(0.01)
    answered = [
        action
        for _, action in one.log
        if getattr(action, "request", "") == "RS" and getattr(action, "reply", "")
    ]
    assert 30 <= len(answered) <= 40
    one.run(2)
    assert replies(one.says(vector("rs-kernel")), "RA")


def test_a_storm_while_the_router_is_undecided_is_answered_once():
    one = Clocked(guest())
    for _ in range(100):
        one.says(vector("rs-kernel"))
    one.run(0.5)
    assert len(replies([action for _, action in one.log], "RA")) == 1


def test_deprecated_prefixes_are_in_the_first_ras_only():
    one = Clocked(guest(deprecated=(guest().ipv6[0].network.supernet(new_prefix=56),), **CALICO))
    one.says(vector("rs-kernel"))
    one.run(3600)
    counts = [
        len(ra(action.frame).all(3))
        for _, action in one.log
        if getattr(action, "reply", "") == "RA"
    ]
    assert counts[:4] == [2, 2, 2, 2]
    assert set(counts[4:]) == {1}


def test_the_same_inputs_give_the_same_outputs():
    runs = []
    for _ in range(2):
        one = Clocked(guest(gateway_lladdrs=((GATEWAY6, OLD_MAC),)))
        one.says(nd(rs(), src=GUEST_LL))
        one.run(10_000)
        runs.append(one.log)
    assert runs[0] == runs[1]
