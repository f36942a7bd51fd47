"""Guests whose MAC is not the pod's, or no longer the one that they were given."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.bed.clients import client
from tests.bed.guests import Started, started, started_in
from tests.bed.pod import REMOTE4, pod
from tests.bed.sidecar import PROGRAM, ROOT
from tests.bed.wait import until

OTHER = "02:42:ac:00:00:07"


def shown(vm: Started) -> dict[str, Any]:
    return vm.sidecar.status()["guests"][0]


def diagnosis(vm: Started) -> str:
    """Return what `diagnose` prints, whatever its exit status says of it."""
    words = (*PROGRAM, "diagnose", "--hooks-dir", str(vm.sidecar.hooks_dir))
    command = vm.pod.netns.command(*words)
    return subprocess.run(
        command, cwd=ROOT, timeout=30, check=False, text=True, capture_output=True
    ).stdout


def test_a_mac_that_cilium_does_not_know_is_named_where_the_guest_reaches_nothing(
    tmp_path: Path,
) -> None:
    with (
        pod("cilium") as made,
        started_in(made, mac=OTHER) as vm,
        client("udhcpc", vm.guest, tmp_path) as guest,
    ):
        assert guest.lease(20).ipv4 == made.layout.ipv4
        assert not vm.guest.reaches(REMOTE4)
        (warning,) = [text for text in shown(vm)["warnings"] if "MAC: " in text]
        assert OTHER in warning
        assert made.layout.mac in warning
        assert warning in vm.sidecar.log


def test_a_bridge_takes_another_mac_without_a_word(tmp_path: Path) -> None:
    with (
        pod("flat") as made,
        started_in(made, mac=OTHER) as vm,
        client("udhcpc", vm.guest, tmp_path) as guest,
    ):
        guest.lease(20)
        until(lambda: vm.guest.reaches(REMOTE4), "a host beyond the gateway")
        assert shown(vm)["warnings"] == []


def test_a_guest_that_changed_its_mac_is_named_until_it_changes_back(tmp_path: Path) -> None:
    with started("flat", "managed") as vm:
        vm.guest.ip(f"link set eth0 address {OTHER}")
        with client("udhcpc", vm.guest, tmp_path):
            until(lambda: shown(vm)["counters"].get("other MAC", 0) >= 2, "its requests", 20)
            (warning,) = until(lambda: shown(vm)["warnings"], "a warning")
            assert warning.startswith(f"a request comes from another MAC, {OTHER}, ")
            told = diagnosis(vm)
            assert OTHER in told
            assert "give the guest's NIC its MAC again" in told
            assert "set to DHCP" not in told
        vm.guest.ip("link set eth0 down")
        vm.guest.ip(f"link set eth0 address {vm.pod.layout.mac}")
        with client("udhcpc", vm.guest, tmp_path) as guest:
            guest.lease(20)
            until(lambda: shown(vm)["warnings"] == [], "no warning any more")
