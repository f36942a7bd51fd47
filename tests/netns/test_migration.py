"""A guest moves between two pods, each with its sidecar: what it loses, and what it has then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bed.clients.lease import kernel
from tests.bed.echo import echoes
from tests.bed.handler import managed_tap
from tests.bed.kernel_guest import default_routers
from tests.bed.layouts import LAYOUTS
from tests.bed.netns import Netns
from tests.bed.nodes import guest_of, launched, lead_to_target, two_nodes
from tests.bed.pod import REMOTE4, REMOTE6, Pod
from tests.bed.stream import stream
from tests.bed.wait import crowd, until
from tests.conftest import MIGRATION

SOURCE = LAYOUTS["flat"]
MAC = SOURCE.mac
OTHER_MAC = "0a:58:0a:f4:02:02"
OTHER_GATEWAY = replace(
    SOURCE,
    gateway=SOURCE.gateway.replace(SOURCE.gateway_mac, OTHER_MAC),
    gateway_mac=OTHER_MAC,
    router="fe80::858:aff:fef4:202",
)


@dataclass(frozen=True, slots=True)
class Loss:
    """What the guest's traffic suffered, in seconds; each request that is lost is one of 0.01 s."""

    lost4: float
    lost6: float
    stall4: float
    stall6: float

    def __str__(self) -> str:
        lost = f"{self.lost4 * 100:.0f} / {self.lost6 * 100:.0f}"
        return f"{lost}; {self.stall4:.2f} s / {self.stall6:.2f} s"

    def must_not_exceed(self, than: Loss, seconds: float) -> None:
        """Demand that no more is lost, and no stall is longer, but for so many seconds of noise."""
        assert self.lost4 <= than.lost4 + seconds, (self, than)
        assert self.lost6 <= than.lost6 + seconds, (self, than)
        assert self.stall4 <= than.stall4 + 2 * seconds, (self, than)
        assert self.stall6 <= than.stall6 + 2 * seconds, (self, than)


def addressed(guest: Netns, *, by_hand: bool) -> None:
    """Give the guest the addresses of the source's pod; its IPv6 router comes by RA or by hand."""
    guest.sysctl(ipv6__conf__eth0__dad_transmits=0)
    guest.ip("link set eth0 up")
    guest.ip("\n".join(f"addr add {one} dev eth0" for one in (*SOURCE.ipv4, *SOURCE.ipv6)))
    guest.ip(f"route add default via {SOURCE.gateway4}")
    if by_hand:
        guest.ip(f"route add default via {SOURCE.router} dev eth0")
    until(lambda: kernel(guest, "eth0").has_default6, "an IPv6 router")


def moved(source: Pod, target: Pod, workdir: Path, *, with_sidecars: bool) -> Loss:
    """Migrate the guest with its address kept and traffic running; return what that cost."""
    workdir.mkdir()
    with ExitStack() as stack:
        enter = stack.enter_context
        if with_sidecars:
            on_source = enter(launched(source, mac=MAC))
        else:
            managed_tap(source.netns)
        guest, migration = enter(guest_of(source, MAC))
        addressed(guest, by_hand=not with_sidecars)
        if with_sidecars:
            on_target = enter(launched(target, mac=MAC, arriving=True))
        else:
            managed_tap(target.netns)
        flows = [enter(echoes(guest, to, workdir, interval=0.01)) for to in (REMOTE4, REMOTE6)]
        streams = [enter(stream(guest, source.remote, to, workdir)) for to in (REMOTE4, REMOTE6)]
        migration.open(target.netns)
        for one in flows:
            one.goes_on(100)
        # Neighbours were looked for at first, longer without a sidecar, which has asked before.
        begun = [max(flow.answered()) for flow in flows]
        migration.move(MAC)
        lead_to_target(source, target)
        for one in (*flows, *streams):
            one.goes_on(timeout=30)
        migration.close()
        if with_sidecars:
            on_source.hook.shutdown()
            assert on_source.sidecar.exit_status() == 0
        for flow in flows:
            flow.goes_on(100)
        if with_sidecars:
            until(
                lambda: default_routers(guest) == [target.layout.router],
                f"the router of the target alone, not {default_routers(guest)}",
            )
            assert on_target.sidecar.process.poll() is None
        lost = (flow.lost(first) for flow, first in zip(flows, begun, strict=True))
        return Loss(*lost, *(one.stall() for one in streams))


def test_a_guest_that_keeps_its_address_loses_no_more_than_without_us(
    tmp_path: Path, record_property: Callable[..., None]
) -> None:
    with two_nodes(SOURCE, SOURCE) as (source, target):
        ours = moved(source, target, tmp_path / "with", with_sidecars=True)
    with two_nodes(SOURCE, SOURCE) as (source, target):
        plain = moved(source, target, tmp_path / "without", with_sidecars=False)
    record_property(MIGRATION, ("the same MAC", str(ours), str(plain)))
    ours.must_not_exceed(plain, 0.5 * crowd())


def test_a_guest_whose_gateway_has_another_mac_goes_on_by_that(
    tmp_path: Path, record_property: Callable[..., None]
) -> None:
    """By itself Linux trusts the router of the former node for up to 50 s."""
    with two_nodes(SOURCE, OTHER_GATEWAY) as (source, target):
        ours = moved(source, target, tmp_path / "with", with_sidecars=True)
    record_property(MIGRATION, ("another MAC", str(ours), "not measured"))
    slack = 2.0 * crowd()
    assert max(ours.lost4, ours.lost6) <= slack, ours
    assert max(ours.stall4, ours.stall6) <= 2 * slack, ours
