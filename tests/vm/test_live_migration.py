"""A VM that QEMU migrates live between two pods, each with its sidecar: what it loses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bed.capture import capture
from tests.bed.echo import echoes
from tests.bed.handler import managed_tap
from tests.bed.launcher import Hook, collect
from tests.bed.layouts import LAYOUTS, Layout
from tests.bed.live_migration import Machine, begin, machine, move
from tests.bed.nodes import define, launched, two_nodes
from tests.bed.pod import REMOTE4, REMOTE6, Pod, plug_blue, pod
from tests.bed.sidecar import Sidecar, explained, sidecar
from tests.bed.stream import echoed
from tests.bed.vm import Nic, nics
from tests.bed.wait import crowd, until
from tests.conftest import MIGRATION
from tests.netns.test_migration import OTHER_GATEWAY, Loss
from tests.samples import TWO_NICS_DOMAIN, vmi_object

pytestmark = [pytest.mark.netns, pytest.mark.vm, pytest.mark.matrix]

SOURCE = LAYOUTS["flat"]
NIC = Nic(SOURCE.mac, "tap0", SOURCE.mtu)
BY_HAND = "; ".join((
    "pkill udhcpc; pkill dhclient",
    *(f"ip addr add {one} dev eth0" for one in (*SOURCE.ipv4, *SOURCE.ipv6)),
    f"ip route add default via {SOURCE.gateway4}",
    f"ip route add default via {SOURCE.router} dev eth0",
))  # fmt: skip
TWO_MACS = (SOURCE.mac, "0a:58:0a:64:00:05")
ASK_BLUE = "udhcpc -i eth1 -n -q -s /leased4 2>&1"
ECHO = "mkfifo /tmp/{to}; nc {to} 7 0<>/tmp/{to} 1>/tmp/{to} &"
"""Send back what a host sends by TCP."""


def booted(on: Machine, *, by_hand: bool) -> None:
    """Wait until the guest has its network."""
    report = on.terminal.report(120)
    if by_hand:
        on.terminal.run(BY_HAND)
    else:
        assert report.lease.ipv4 == SOURCE.ipv4
        assert set(report.reached) == {str(REMOTE4), str(REMOTE6)}


def moved(source: Pod, target: Pod, workdir: Path, *, with_sidecars: bool) -> Loss:
    """Migrate with traffic running, which a host beyond both nodes measures."""
    workdir.mkdir()
    with ExitStack() as stack:
        enter = stack.enter_context
        if with_sidecars:
            on_source = enter(launched(source, mac=SOURCE.mac))
        else:
            managed_tap(source.netns)
        before = enter(machine(source, NIC))
        booted(before, by_hand=not with_sidecars)
        if with_sidecars:
            on_target = enter(launched(target, mac=SOURCE.mac, arriving=True))
        else:
            managed_tap(target.netns)
        after = enter(machine(target, NIC, incoming=True))
        remote = source.remote
        addresses = SOURCE.ipv4[0].ip, SOURCE.ipv6[0].ip
        flows = [enter(echoes(remote, to, workdir, interval=0.01)) for to in addresses]
        streams = [enter(echoed(remote, to, workdir)) for to in (REMOTE4, REMOTE6)]
        for to in (REMOTE4, REMOTE6):
            before.terminal.run(ECHO.format(to=to))
        for one in (*flows, *streams):
            one.goes_on(timeout=60)
        begun = [max(flow.answered()) for flow in flows]
        move(before, after)
        for one in (*flows, *streams):
            one.goes_on(timeout=120)
        if with_sidecars:
            on_source.hook.shutdown()
            assert on_source.sidecar.exit_status() == 0
        for one in (*flows, *streams):
            one.goes_on()
        if with_sidecars:
            assert on_target.sidecar.process.poll() is None
        lost = (flow.lost(first) for flow, first in zip(flows, begun, strict=True))
        return Loss(*lost, *(one.stall() for one in streams))


def measured(workdir: Path, target: Layout, *, with_sidecars: bool) -> Loss:
    with two_nodes(SOURCE, target) as pods:
        return moved(*pods, workdir, with_sidecars=with_sidecars)


def test_a_vm_that_keeps_its_address_loses_no_more_than_without_us(
    tmp_path: Path, record_property: Callable[..., None]
) -> None:
    ours = measured(tmp_path / "with", SOURCE, with_sidecars=True)
    plain = measured(tmp_path / "without", SOURCE, with_sidecars=False)
    record_property(MIGRATION, ("QEMU, the same MAC", str(ours), str(plain)))
    ours.must_not_exceed(plain, 1.0 * crowd())


def test_a_vm_whose_gateway_has_another_mac_goes_on_by_that(
    tmp_path: Path, record_property: Callable[..., None]
) -> None:
    ours = measured(tmp_path / "with", OTHER_GATEWAY, with_sidecars=True)
    record_property(MIGRATION, ("QEMU, another MAC", str(ours), "not measured"))
    assert max(ours.lost4, ours.lost6, ours.stall4, ours.stall6) <= 4.0 * crowd(), ours


def test_a_migration_that_is_cancelled_succeeds_to_another_pod_that_is_asked_twice() -> None:
    with (
        two_nodes(SOURCE, SOURCE) as (source, target),
        launched(source, mac=SOURCE.mac) as on_source,
        machine(source, NIC) as before,
    ):
        booted(before, by_hand=False)
        with (
            pod(replace(SOURCE, name="gone")) as gone,
            launched(gone, mac=SOURCE.mac, arriving=True) as on_gone,
        ):
            with (
                machine(gone, NIC, incoming=True) as never,
                capture(gone.gateway, "pod0") as said,
            ):
                before.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 1_000_000})
                begin(before, never)
                until(lambda: before.qmp.migration == "active", "the migration has begun")
                before.qmp.execute("migrate_cancel")
                until(lambda: before.qmp.migration == "cancelled", "the migration is cancelled")
                assert before.qmp.is_running
                mac = bytes.fromhex(SOURCE.mac.replace(":", ""))
                assert not [one for one in said.read().received if one[6:12] == mac]
            on_gone.sidecar.process.terminate()  # its guest has never come
            assert on_gone.sidecar.exit_status() == 0
        assert "lease of" in before.terminal.run("udhcpc -i eth0 -n -q -s /leased4 2>&1")
        before.qmp.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 30})
        with (
            launched(target, mac=SOURCE.mac, arriving=True) as on_target,
            machine(target, NIC, incoming=True) as after,
        ):
            define(on_target, mac=SOURCE.mac, arriving=True)
            move(before, after)
            on_source.hook.shutdown()
            assert on_source.sidecar.exit_status() == 0
            assert "lease of" in after.terminal.run("udhcpc -i eth0 -n -q -s /leased4 2>&1")
            for to in (REMOTE4, REMOTE6):
                assert "1 packets received" in after.terminal.run(f"ping -c 1 -W 5 {to}")
            [guest] = on_target.sidecar.status()["guests"]
            assert guest["counters"]["ACK"]


def two_nics(*, cores: int, arriving: bool) -> str:
    """Return the VMI with a second NIC; on the target it tells what the source's domain has."""
    vmi = vmi_object("03-two-iface-multus")
    domain = vmi["spec"]["domain"]
    domain["cpu"] = {"cores": cores}
    domain["devices"]["networkInterfaceMultiqueue"] = True
    if arriving:
        vmi["status"]["migrationState"] = {"migrationUid": "1", "targetNode": "node2"}
        vmi["status"]["interfaces"] = [
            {"name": name, "mac": mac, "queueCount": 1, "infoSource": "domain"}
            for name, mac in zip(("default", "blue"), TWO_MACS, strict=True)
        ]
    return json.dumps(vmi)


@contextmanager
def own(made: Pod, vmi: str) -> Iterator[tuple[tuple[Nic, ...], Hook, Sidecar]]:
    """Start a sidecar that wires the pod, up to the point where QEMU starts."""
    with sidecar(made) as running, explained(running), collect(running.hooks_dir) as hook:
        domain = hook.define(TWO_NICS_DOMAIN, vmi)
        yield nics(domain), hook, running


def test_two_nics_of_a_vm_whose_cpus_are_plugged_by_the_migration() -> None:
    """The target's VMI has four CPUs by then, and the guest's NICs have the source's one queue."""
    with two_nodes(SOURCE, SOURCE) as (source, target):
        for node in (source, target):
            plug_blue(node)
        with (
            own(source, two_nics(cores=1, arriving=False)) as (given, hook, on_source),
            machine(source, *given) as before,
        ):
            assert tuple(one.mac for one in given) == TWO_MACS
            booted(before, by_hand=False)
            assert "lease of 10.100.0.5" in before.terminal.run(ASK_BLUE)
            with (
                own(target, two_nics(cores=4, arriving=True)) as (_, _, on_target),
                machine(target, *given, incoming=True) as after,
            ):
                move(before, after)
                hook.shutdown()
                assert on_source.exit_status() == 0
                assert "lease of 10.244.1.5" in after.terminal.run(ASK_BLUE.replace("eth1", "eth0"))
                assert "lease of 10.100.0.5" in after.terminal.run(ASK_BLUE)
                for to in (REMOTE4, REMOTE6):
                    assert "1 packets received" in after.terminal.run(f"ping -c 1 -W 5 {to}")
                told = on_target.status()["guests"]
                assert all(one["counters"]["ACK"] for one in told)
                assert [one["warnings"] for one in told] == [[], []]
