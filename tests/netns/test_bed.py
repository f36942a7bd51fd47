"""The bed itself: what the other tests stand on."""

from __future__ import annotations

import pytest

from tests.bed.layouts import LAYOUTS
from tests.bed.pod import BLUE, REMOTE4, REMOTE6, pod

pytestmark = pytest.mark.netns


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pod_reaches_the_host_beyond_its_gateway_in_both_families(layout: str) -> None:
    with pod(layout) as made:
        assert made.netns.reaches(REMOTE4)
        assert made.netns.reaches(REMOTE6)
        assert made.netns.query("link", "show", "dev", "eth0")[0]["mtu"] == made.layout.mtu


@pytest.mark.parametrize("layout", [name for name, known in LAYOUTS.items() if known.router])
def test_gateway_answers_for_its_link_local_address(layout: str) -> None:
    with pod(layout) as made:
        assert made.netns.reaches(f"{made.layout.router}%eth0")
        neighbours = made.netns.query("-6", "neigh", "show", "dev", "eth0")
        found = {item["dst"]: item.get("lladdr") for item in neighbours}
        assert found[made.layout.router] == made.layout.gateway_mac


def test_secondary_network_has_its_own_gateway_and_no_default_route() -> None:
    with pod("flat", blue=True) as made:
        assert made.netns.reaches("10.100.0.1")
        assert made.netns.reaches("fd00:10:100::1")
        for family in ("-4", "-6"):
            routes = made.netns.query(family, "route", "show", "dev", BLUE)
            assert routes
            assert "default" not in [route["dst"] for route in routes]


def test_processes_in_the_pod_see_the_pods_resolver() -> None:
    with pod("flat") as made:
        command = ["cat", "/etc/resolv.conf"]
        process = made.netns.popen(*command, resolv_conf=made.resolv_conf, stdout=-1)
        assert process.communicate()[0] == made.resolv_conf.read_bytes()
