"""Clocks that jump, and clocks that begin elsewhere: no decision depends on the time of day."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bed.clients import client
from tests.bed.guests import Started, started, started_in
from tests.bed.pod import pod
from tests.bed.processes import family
from tests.bed.udhcpc import leased
from tests.bed.wait import until

SHORT = {"dsbridge.io/default": {"lease": 60}}
JUST_BOOTED = 2
_names = itertools.count()

# Python runs this where it is found, in our processes too. It can be read by none of them
# otherwise: CLOCK_REALTIME has no namespace.
DAY = """
import time
real = time.time
def shown():
    with open({path!r}) as file:
        return real() + float(file.read())
time.time = shown
"""


def answers_and_mends(vm: Started) -> None:
    """Ask anew, have serve killed, the guard flushed; all comes back."""

    def asked() -> bool:
        return leased(vm.guest, hostname=f"h{next(_names)}", tries=3)

    until(asked, "the guest is served", 60)
    for pid in family(vm.sidecar.process.pid)[1:]:
        vm.pod.netns.run("kill", "-9", str(pid), check=False)
    until(asked, "the guest is served again", 60)
    vm.pod.netns.run("nft", "flush", "ruleset")
    until(lambda: "dhcp4-to-server" in vm.pod.netns.run("nft", "list", "ruleset"), "the guard", 60)
    until(lambda: vm.sidecar.status()["guard"] == "on", "status says so", 60)
    assert vm.sidecar.process.poll() is None
    assert "Traceback" not in vm.sidecar.log


@pytest.mark.parametrize(
    "offset",
    [
        pytest.param(lambda: JUST_BOOTED - int(time.monotonic()), id="a node that has just booted"),
        pytest.param(lambda: 2**32, id="136 years after boot", marks=pytest.mark.matrix),
    ],
)
def test_the_clock_that_counts_may_begin_anywhere(
    tmp_path: Path, offset: Callable[[], int]
) -> None:
    seconds = str(offset())
    prefix = ("unshare", "--time", "--monotonic", seconds, "--boottime", seconds)
    with (
        pod("flat") as made,
        started_in(made, "managed", SHORT, prefix=prefix) as vm,
        client("networkd", vm.guest, tmp_path) as program,
    ):
        lease = program.lease(30)
        given = {one.ip for one in (*lease.ipv4, *lease.ipv6)}
        assert given == {one.ip for one in (*made.layout.ipv4, *made.layout.ipv6)}
        program.stop()
        answers_and_mends(vm)


def test_a_jump_of_the_time_of_day_changes_no_decision(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(DAY.format(path=str(offset)))
    with started("flat", "managed", SHORT, PYTHONPATH=str(tmp_path)) as vm:
        vm.guest.ip("link set eth0 up")
        for years in (30, -60):
            offset.write_text(str(years * 365 * 86_400))
            answers_and_mends(vm)
            year = int(vm.sidecar.status()["now"][:4])
            assert year == pytest.approx(time.gmtime().tm_year + years, abs=1)
