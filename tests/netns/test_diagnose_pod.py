"""Faults of the pod's links, filters and processes: what `diagnose` says of each, and the log."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager

import grpc
import pytest

from tests.bed.clients import client
from tests.bed.diagnosis import (
    diagnose,
    run,
    solicit,
    until_diagnosed,
    until_logged,
    until_well,
)
from tests.bed.guests import started, started_in
from tests.bed.handler import managed_tap
from tests.bed.launcher import collect, phase2
from tests.bed.pod import pod
from tests.bed.sidecar import sidecar
from tests.bed.wait import until
from tests.samples import MANAGED_DOMAIN, vmi_json

WARNING, HARM, NO_SIDECAR = 1, 2, 3
DROP_IN_BRIDGE = """
table bridge strangers {
  chain forward { type filter hook forward priority 0; udp dport 9 drop; }
}"""
DROP_AT_TAP = """
table netdev strangers {
  chain in { type filter hook ingress device "tap0" priority 0; udp dport 9 drop; }
}"""


LINKS = [
    ("link set eth0-nic down", "link set eth0-nic up", "link-down", HARM, "eth0-nic is down"),
    (
        "link set eth0-nic nomaster",
        "link set eth0-nic master k6t-eth0",
        "not-a-port",
        HARM,
        "eth0-nic is no port of bridge k6t-eth0",
    ),
    (
        "link set tap0 nomaster",
        "link set tap0 master k6t-eth0",
        "not-a-port",
        HARM,
        "tap0 is no port of bridge k6t-eth0",
    ),
    ("link set k6t-eth0 down", "link set k6t-eth0 up", "link-down", HARM, "k6t-eth0 is down"),
    ("link set tap0 mtu 1300", "link set tap0 mtu 1450", "mtu", WARNING, "tap0 has MTU 1300"),
    ("link set tap0 down", "link set tap0 up", "link-down", HARM, "tap0 is down"),
]


@pytest.mark.parametrize("fault", LINKS)
def test_a_link_that_is_not_as_it_should_be(well_guest, fault):
    change, undo, anchor, status, text = fault
    well_guest.pod.netns.ip(change)
    try:
        seen = until_diagnosed(well_guest, anchor)
        assert seen.status == status
        assert text in seen.wrong[anchor]["text"]
        assert seen.wrong[anchor]["remedy"]
        assert seen.wrong[anchor]["time"]
        assert text in well_guest.sidecar.log
    finally:
        well_guest.pod.netns.ip(undo)
    until_well(well_guest)


def test_a_pod_nic_without_carrier(well_guest):
    well_guest.pod.gateway.ip("link set pod0 down")
    try:
        seen = until_diagnosed(well_guest, "no-carrier")
        assert seen.status == HARM
        assert "other end" in seen.wrong["no-carrier"]["remedy"]
        assert "eth0-nic has no carrier" in well_guest.sidecar.log
    finally:
        well_guest.pod.gateway.ip("link set pod0 up")
    until_well(well_guest)


@pytest.mark.parametrize(
    ("rules", "table"),
    [
        pytest.param(DROP_IN_BRIDGE, "bridge strangers", id="bridge"),
        pytest.param(DROP_AT_TAP, "netdev strangers", id="netdev"),
    ],
)
def test_packet_filters_of_others(well_guest, rules, table):
    command = well_guest.pod.netns.command("nft", "-f", "-")
    subprocess.run(command, input=rules, text=True, check=True)
    try:
        seen = until_diagnosed(well_guest, "foreign-rules")
        assert seen.status == WARNING
        assert f"table {table}, chain" in seen.wrong["foreign-rules"]["text"]
        assert "1 rules that drop" in seen.wrong["foreign-rules"]["text"]
    finally:
        well_guest.pod.netns.run("nft", "delete", "table", *table.split())
    until_well(well_guest)


def process(vm, name):
    return next(one for one in vm.sidecar.status()["processes"] if one["name"] == name)


@contextmanager
def awake(vm, name):
    """Give the pid of a program; hooks stays for as long as somebody is connected."""
    with vm.hook.dial() as channel:
        grpc.channel_ready_future(channel).result(60)
        yield until(lambda: process(vm, name)["pid"], f"{name} runs")


@pytest.mark.parametrize("name", ["serve", "hooks"])
def test_a_process_that_was_killed_is_told_with_time_and_reason(name):
    with started("flat", "managed") as vm:
        vm.guest.ip("link set eth0 up")
        with awake(vm, name) as pid:
            os.kill(pid, signal.SIGKILL)
        until(lambda: process(vm, name)["restarts"] == 1, "its end is seen", 20)
        seen = until_diagnosed(vm, "process-restarted")
        told = seen.wrong["process-restarted"]
        assert f"{name} was started again once" in told["text"]
        assert "killed by SIGKILL" in told["text"]
        assert told["time"]
        assert f"{name} ended (killed by SIGKILL)" in vm.sidecar.log


def test_a_process_that_hangs():
    with started("flat", "managed") as vm:
        with awake(vm, "hooks") as pid:
            os.kill(pid, signal.SIGSTOP)
        seen = until_diagnosed(vm, "process-hung")
        assert seen.status == HARM
        assert "hooks does not answer" in seen.wrong["process-hung"]["text"]
        until(lambda: process(vm, "hooks")["restarts"] == 1, "it is replaced", 40)
        told = until_diagnosed(vm, "process-restarted").wrong["process-restarted"]
        assert "it had not answered for" in told["text"]
        assert "is killed: it had not answered" in vm.sidecar.log


@contextmanager
def without(*capabilities):
    drop = ",".join(f"-{one}" for one in capabilities)
    prefix = ("setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}")
    with pod("flat") as made:
        yield made, prefix


def test_a_guard_that_is_off_by_choice_is_no_problem(tmp_path):
    with (
        without("net_admin") as (made, prefix),
        started_in(made, prefix=prefix) as vm,
        client("networkd", vm.guest, tmp_path) as guest,
    ):
        guest.lease(30)
        solicit(vm)
        seen = diagnose(vm, prefix)
        assert seen.status == 0, seen.said
        assert "the guard is off, as NET_ADMIN is left out" in seen.well


def test_a_start_that_is_refused_is_told_in_its_own_words():
    with (
        without("net_raw") as (made, prefix),
        sidecar(made, prefix=prefix) as side,
        collect(side.hooks_dir) as hook,
    ):
        managed_tap(made.netns)
        domain = phase2(MANAGED_DOMAIN, mac=made.layout.mac, mtu=made.layout.mtu)
        with pytest.raises(grpc.RpcError, match="NET_RAW"):
            hook.on_define_domain(domain, vmi_json())
        done = run(made.netns, side.hooks_dir, "diagnose", prefix=prefix)
        assert done.returncode == HARM
        assert "KubeVirt's last call was refused: the sidecar lacks NET_RAW" in done.stdout
        assert "the container lacks NET_RAW" in done.stdout
        assert "#no-net-raw" in done.stdout
        assert "#refused-start" in done.stdout
        assert "refused: the sidecar lacks NET_RAW" in side.log


def test_an_annotation_that_is_refused_is_told_in_its_own_words():
    with pod("flat") as made, sidecar(made) as side, collect(side.hooks_dir) as hook:
        with pytest.raises(grpc.RpcError, match="unknown key"):
            hook.on_define_domain(MANAGED_DOMAIN, vmi_json({"dsbridge.io/default": {"ip6": 1}}))
        until(lambda: "refused" in run(made.netns, side.hooks_dir, "status").stdout, "it is told")
        done = run(made.netns, side.hooks_dir, "diagnose")
        assert done.returncode == HARM
        assert "unknown key" in done.stdout


def test_a_sidecar_that_serves_nobody_and_none_at_all(tmp_path):
    with pod("flat") as made:
        with sidecar(made) as side:
            until(lambda: any(side.hooks_dir.glob("*.sock")), "the sidecar's socket")
            done = run(made.netns, side.hooks_dir, "diagnose")
            assert (done.returncode, "no guest is served" in done.stdout) == (WARNING, True)
            assert "#no-guest" in done.stdout
        for words in (["diagnose"], ["status"], ["status", "--json"]):
            done = run(made.netns, tmp_path, *words)
            assert done.returncode == NO_SIDECAR
            assert "no sidecar answers" in done.stderr


@pytest.mark.parametrize(
    ("change", "anchor", "status"),
    [
        ("link del tap0", "tap", HARM),
        ("link del k6t-eth0", "link-gone", HARM),
    ],
)
def test_a_link_that_is_gone(change, anchor, status):
    with started("flat", "managed") as vm:
        vm.guest.ip("link set eth0 up")
        vm.pod.netns.ip(change)
        seen = until_diagnosed(vm, anchor)
        assert seen.status == status
        assert "is gone" in seen.wrong[anchor]["text"]
        assert seen.wrong[anchor]["remedy"]


@pytest.mark.parametrize(
    ("change", "anchor", "text"),
    [
        ("link set eth0 up", "placeholder", "placeholder eth0 is up"),
        ("link set k6t-eth0 addrgenmode eui64", "bridge-port", "k6t-eth0 makes itself"),
    ],
)
def test_what_the_own_wiring_needs(change, anchor, text):
    with started("flat", "own") as vm:
        vm.guest.ip("link set eth0 up")
        vm.pod.netns.ip(change)
        seen = until_diagnosed(vm, anchor)
        assert text in seen.wrong[anchor]["text"]
        assert "ip link set" in seen.wrong[anchor]["remedy"]


def test_a_state_directory_without_space():
    with pod("flat") as made:
        hooks_dir = made.workdir / "hook-sidecar-0"
        hooks_dir.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", hooks_dir], check=True)
        try:
            (hooks_dir / "state").mkdir()
            with (hooks_dir / "state/others").open("wb", buffering=0) as full:
                while full.write(bytes(4096)) == 4096:
                    pass
        except OSError:
            pass
        try:
            with started_in(made) as vm:
                vm.guest.ip("link set eth0 up")
                seen = until_diagnosed(vm, "not-saved")
                assert "no space left" in seen.wrong["not-saved"]["text"]
                until_logged(vm, "a restarted sidecar will miss it: No space left on device")
        finally:
            subprocess.run(["umount", "-l", hooks_dir], check=True)
