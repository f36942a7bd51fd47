"""The bed itself: what the other tests stand on."""

from __future__ import annotations

import pytest

from tests.bed.cable import cable
from tests.bed.handler import managed_tap
from tests.bed.layouts import LAYOUTS
from tests.bed.pod import BLUE, REMOTE4, REMOTE6, pod
from tests.bed.wait import until


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pod_reaches_the_host_beyond_its_gateway_in_both_families(layout: str) -> None:
    with pod(layout) as made:
        assert made.netns.reaches(REMOTE4)
        assert made.netns.reaches(REMOTE6)
        assert made.netns.query("link", "show", "dev", "eth0")[0]["mtu"] == made.layout.mtu


@pytest.mark.parametrize(
    "layout", [name for name, known in LAYOUTS.items() if known.router and not known.permanent]
)
def test_gateway_answers_for_its_link_local_address(layout: str) -> None:
    with pod(layout) as made:
        assert made.netns.reaches(f"{made.layout.router}%eth0")
        neighbours = made.netns.query("-6", "neigh", "show", "dev", "eth0")
        found = {item["dst"]: item.get("lladdr") for item in neighbours}
        assert found[made.layout.router] == made.layout.gateway_mac


@pytest.mark.parametrize("layout", [name for name, known in LAYOUTS.items() if known.permanent])
def test_a_gateway_of_a_permanent_entry_alone_answers_nobody(layout: str) -> None:
    with pod(layout) as made:
        router = LAYOUTS[layout].router
        made.netns.ip(f"neigh del {router} dev eth0")
        assert not made.netns.reaches(f"{router}%eth0")
        if not LAYOUTS[layout].proxy_arp:
            made.netns.ip("neigh del 169.254.1.1 dev eth0")
            assert not made.netns.reaches(REMOTE4)


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


@pytest.mark.parametrize("queues", [1, 4])
def test_a_guest_on_a_managed_tap_uses_the_pods_network(queues: int) -> None:
    with pod("flat") as made:
        managed_tap(made.netns, queues=queues)
        with cable(made.netns, mac=made.layout.mac, queues=queues) as guest:
            guest.ip("""
                link set eth0 up mtu 1450
                addr add 10.244.1.5/24 dev eth0
                addr add fd00:10:244:1::5/64 dev eth0 nodad
                route add default via 10.244.1.1
                route add default via fd00:10:244:1::1""")
            until(lambda: guest.reaches(REMOTE4), "IPv4 through the cable")
            until(lambda: guest.reaches(REMOTE6), "IPv6 through the cable")


@pytest.mark.parametrize("tap, asked", [(1, 4), (4, 1)])
def test_a_tap_of_the_other_kind_is_refused_as_qemu_would(tap: int, asked: int) -> None:
    with pod("flat") as made:
        managed_tap(made.netns, queues=tap)
        with (
            pytest.raises(RuntimeError, match="Invalid argument"),
            cable(made.netns, mac=made.layout.mac, queues=asked),
        ):
            pass


def test_managed_wiring_leaves_the_pods_addresses_on_a_placeholder_and_no_routes() -> None:
    with pod("flat") as made:
        managed_tap(made.netns)
        placeholder = made.netns.query("addr", "show", "dev", "eth0")[0]
        assert placeholder["address"] == made.layout.mac
        assert placeholder["mtu"] == 1450
        assert placeholder["operstate"] == "DOWN"
        assert "NOARP" in placeholder["flags"]
        assert [a["local"] for a in placeholder["addr_info"]] == ["10.244.1.5", "fd00:10:244:1::5"]
        assert made.netns.query("-4", "route") == []
        ports = made.netns.query("link", "show", "master", "k6t-eth0")
        assert {port["ifname"] for port in ports} == {"eth0-nic", "tap0"}
