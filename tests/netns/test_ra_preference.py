"""`preference`: which of two NICs the guest's IPv6 leaves by, while the other stays usable."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.pod import REMOTE6
from tests.bed.wait import until

NETWORK = "dsbridge.io/default"
LOW = {"preference": "low", "routes": [{"to": "fd00:20::/48", "via": "fd00:10:244:1::1"}]}


def preferences(guest, nic: str = "eth0") -> dict[str, str]:
    """Of the routes that lead through a router."""
    rows = guest.query("-6", "route", "show", "dev", nic)
    return {row["dst"]: row["pref"] for row in rows if "gateway" in row}


@pytest.mark.parametrize("name", ["kernel-ra", "networkd", "networkmanager"])
def test_default_route_and_routes_of_a_nic_have_its_preference(name: str, tmp_path: Path) -> None:
    with (
        started("flat", "managed", {NETWORK: LOW}) as vm,
        client(name, vm.guest, tmp_path, families=(6,)),
    ):
        vm.guest.sysctl(ipv6__conf__eth0__accept_ra_rt_info_max_plen=64)
        until(lambda: preferences(vm.guest).get("default") == "low", "the default route", 20)
        if name != "kernel-ra":  # the kernel began to take routes after the RA
            until(lambda: preferences(vm.guest).get("fd00:20::/48") == "low", "the route", 20)
            until(lambda: vm.guest.reaches(REMOTE6), "the only router is used whatever it is", 20)


@pytest.mark.parametrize(("first", "second"), [("low", "medium"), ("medium", "high")])
def test_the_nic_of_the_higher_preference_wins_and_the_other_keeps_its_route(
    first: str, second: str, tmp_path: Path
) -> None:
    """Metrics are equal here, and the first NIC's router was heard first."""

    def settings(preference: str) -> dict:
        return {NETWORK: {"preference": preference}}

    with (
        started("flat", "managed", settings(first)) as one,
        started("cilium", "managed", settings(second)) as two,
        client("kernel-ra", one.guest, tmp_path / "1", families=(6,)),
    ):
        until(lambda: preferences(one.guest).get("default") == first, "the first NIC's router", 20)
        two.guest.ip(f"link set eth0 netns {one.guest.name} name eth1")
        one.guest.ip("link set eth1 up")
        wanted = {"default": second}
        until(lambda: preferences(one.guest, "eth1").items() >= wanted.items(), "the second's", 20)
        assert preferences(one.guest)["default"] == first
        (route,) = one.guest.query("-6", "route", "get", str(REMOTE6))
        assert route["dev"] == "eth1"
        one.guest.ip("link set eth1 down")
        (route,) = one.guest.query("-6", "route", "get", str(REMOTE6))
        assert route["dev"] == "eth0"
