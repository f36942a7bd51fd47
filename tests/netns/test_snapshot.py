"""What the sidecar reads of a pod before KubeVirt changes it."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from binding.ipc import codec
from binding.ipc.snapshot import Link, Snapshot
from guest.network import Route
from tests.bed.netns import Netns, netns
from tests.bed.plumb import ROOT, UNPRIVILEGED
from tests.bed.pod import BARE, pod
from tests.bed.pod_state import link
from tests.bed.wait import until

READ = """
import sys
from binding.ipc import codec
from binding.sidecar import pod_snapshot
print(codec.encode(pod_snapshot.take(sys.argv[1])))
"""


def read(space: Netns, resolv: str = "/nonexistent", prefix: tuple[str, ...] = ()) -> Snapshot:
    printed = subprocess.run(
        space.command(*prefix, sys.executable, "-c", READ, resolv),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return codec.decode(Snapshot, printed)


def route(destination: str, gateway: str | None = None) -> Route:
    return Route(ip_network(destination), ip_address(gateway) if gateway else None)


def addresses(*texts: str):
    return tuple(ip_interface(text) for text in texts)


def eth0(space: Netns) -> Link:
    found = read(space).link("eth0")
    assert found is not None
    return found


AS_FLAT = (
    addresses("10.244.1.5/24", "fd00:10:244:1::5/64"),
    (
        route("10.244.1.0/24"),
        route("0.0.0.0/0", "10.244.1.1"),
        route("fd00:10:244:1::/64"),
        route("::/0", "fd00:10:244:1::1"),
    ),
)
AS_CALICO = (
    addresses("192.168.7.5/32", "fd00:192:168:7::5/128"),
    (
        route("169.254.1.1/32"),
        route("0.0.0.0/0", "169.254.1.1"),
        route("::/0", "fe80::ecee:eeff:feee:eeee"),
    ),
)


@pytest.mark.parametrize(("layout", "expected"), [("flat", AS_FLAT), ("calico", AS_CALICO)])
def test_a_pod_is_read_as_its_cni_made_it(layout, expected):
    with pod(layout) as made:
        inside, cni = made.netns, made.layout
        loopback = Link("lo", 1, "00:00:00:00:00:00", 65536, up=True)
        index = link(inside, "eth0")["ifindex"]
        eth0 = Link("eth0", index, cni.mac, cni.mtu, "veth", True, "", *expected)  # noqa: FBT003  # in the order of the fields
        assert read(inside) == Snapshot(inside.path.stat().st_ino, (loopback, eth0))


def test_a_subnet_that_is_behind_the_gateway_is_read_as_such():
    """As kindnet leaves it: no connected route."""
    with pod(BARE) as made:
        made.netns.ip("""
            addr add 10.0.0.42/24 dev eth0 noprefixroute
            addr add fd00::42/64 dev eth0 nodad noprefixroute
            route add 10.0.0.1 dev eth0 src 10.0.0.42 scope link
            route add 10.0.0.0/24 via 10.0.0.1 dev eth0 src 10.0.0.42
            route add default via 10.0.0.1 dev eth0
            route add fd00::1 dev eth0
            route add fd00::/64 via fd00::1 dev eth0
            route add default via fd00::1 dev eth0""")
        found = eth0(made.netns)
        assert found.addresses == addresses("10.0.0.42/24", "fd00::42/64")
        assert found.routes == (
            route("10.0.0.1/32"),
            route("10.0.0.0/24", "10.0.0.1"),
            route("0.0.0.0/0", "10.0.0.1"),
            route("fd00::1/128"),
            route("fd00::/64", "fd00::1"),
            route("::/0", "fd00::1"),
        )


def test_what_a_router_of_the_network_has_told_the_pod_is_not_its_cnis():
    """On a NIC without IPAM the guest must hear it itself; elsewhere it may be a rogue's."""
    with pod("flat") as made:
        inside = made.netns
        inside.ip("""
            addr add 2001:db8:64::5/64 dev eth0 valid_lft 600 preferred_lft 300 nodad
            route add default via fe80::66 dev eth0 proto ra metric 1
            route add 2001:db8:65::/64 dev eth0 proto ra""")
        found = eth0(inside)
        assert (found.addresses, found.routes) == AS_FLAT


def test_a_process_without_any_privilege_can_read():
    with pod("flat") as made:
        inside = made.netns
        assert read(inside, prefix=UNPRIVILEGED) == read(inside)


def test_the_lowest_metric_comes_first_whatever_the_order_of_creation():
    with pod(BARE) as made:
        inside = made.netns
        inside.ip("addr add 10.0.0.42/24 dev eth0 noprefixroute")
        inside.ip("route add 10.0.0.0/24 dev eth0 metric 7")
        inside.ip("route add default via 10.0.0.3 metric 300")
        inside.ip("route add default via 10.0.0.2 metric 200")
        assert eth0(inside).routes == (
            route("10.0.0.0/24"),
            route("0.0.0.0/0", "10.0.0.2"),
            route("0.0.0.0/0", "10.0.0.3"),
        )


@pytest.mark.parametrize("family", ["10.0.0.{}", "fd00::{}"], ids=["IPv4", "IPv6"])
def test_of_a_multipath_route_the_first_hop_on_the_link_counts(family):
    any_, length = ("0.0.0.0/0", 24) if "." in family else ("::/0", 64)
    with pod(BARE) as made:
        inside = made.netns
        inside.ip(f"addr add {family.format(42)}/{length} dev eth0")
        first, second = family.format(3), family.format(2)
        inside.ip(f"route add {any_} nexthop via {first} dev eth0 nexthop via {second} dev eth0")
        assert route(any_, first) in eth0(inside).routes


def test_an_ipv4_route_may_have_an_ipv6_gateway():
    with pod(BARE) as made:
        inside = made.netns
        inside.ip("addr add 10.0.0.42/32 dev eth0")
        inside.ip("route add 0.0.0.0/0 via inet6 fe80::1 dev eth0")
        assert eth0(inside).routes == (route("0.0.0.0/0", "fe80::1"),)


def test_routes_that_lead_nowhere_or_sit_in_other_tables_are_left_out():
    with pod(BARE) as made:
        inside = made.netns
        inside.ip("addr add fd00::42/128 dev eth0 nodad")
        inside.ip("route add blackhole 10.9.0.0/16")
        inside.ip("route add unreachable 10.8.0.0/16")
        inside.ip("route add 10.7.0.0/16 dev eth0 table 100")
        inside.ip("route add fd07::/64 dev eth0 table 100")
        assert all(not link.routes for link in read(inside).links)


def test_link_local_and_duplicate_addresses_are_left_out_and_a_peer_is_not_ours():
    with pod(BARE) as made:
        inside, outside = made.netns, made.gateway
        outside.ip("addr add fd00::66/64 dev pod0 nodad")
        inside.ip("addr add fd00::66/64 dev eth0")
        inside.ip("addr add fd00::42 peer fd00::1/64 dev eth0 nodad")
        inside.ip("addr add 10.0.0.42 peer 10.0.0.1/32 dev eth0")
        inside.ip("addr add 10.0.0.9/24 dev eth0 scope host")
        until(lambda: "dadfailed" in str(inside.query("addr", "show", "dev", "eth0")), "DAD fails")
        assert eth0(inside).addresses == addresses("10.0.0.42/32", "fd00::42/64")


def test_addresses_are_in_the_order_in_which_the_cni_added_them():
    wanted = ("10.0.0.42/24", "10.9.0.42/24", "fd00::42/64", "fd09::42/64", "2001:db8::42/64")
    with pod(BARE) as made:
        inside = made.netns
        for one in wanted:
            inside.ip(f"addr add {one} dev eth0 {'nodad' if ':' in one else ''}")
        assert eth0(inside).addresses == addresses(*wanted)


def test_only_resolved_neighbours_count():
    with pod(BARE) as made:
        inside = made.netns
        inside.ip("neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent")
        inside.ip("neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud stale")
        inside.ip("neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev eth0 nud noarp")
        inside.ip("neigh add fd00::1 lladdr 02:00:00:00:00:01 dev eth0 nud reachable")
        inside.ip("neigh add fd00::4 dev eth0 nud failed")
        assert set(eth0(inside).neighbors) == {
            (ip_address("10.0.0.1"), "02:00:00:00:00:01"),
            (ip_address("10.0.0.2"), "02:00:00:00:00:02"),
            (ip_address("10.0.0.3"), "02:00:00:00:00:03"),
            (ip_address("fd00::1"), "02:00:00:00:00:01"),
        }
        assert set(eth0(inside).permanent) == {
            (ip_address("10.0.0.1"), "02:00:00:00:00:01"),
            (ip_address("10.0.0.3"), "02:00:00:00:00:03"),
        }


def test_ports_name_their_bridge_and_a_link_that_is_down_is_so():
    with pod(BARE) as made:
        inside = made.netns
        inside.ip("link add k6t-eth0 type bridge")
        inside.ip("link set eth0 master k6t-eth0")
        snapshot = read(inside)
        bridge = snapshot.link("k6t-eth0")
        assert (eth0(inside).bridge, bridge.kind, bridge.up) == ("k6t-eth0", "bridge", False)


def test_a_pod_without_ipv6_is_read_all_the_same():
    with pod(BARE) as made:
        inside = made.netns
        inside.sysctl(ipv6__conf__all__disable_ipv6=1)
        inside.ip("addr add 10.0.0.42/24 dev eth0")
        assert eth0(inside).addresses == addresses("10.0.0.42/24")


def test_the_resolver_comes_along(tmp_path):
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 10.96.0.10\nsearch ns.svc.cluster.local svc.cluster.local\n")
    file.chmod(0o644)
    with netns("pod") as space:
        snapshot = read(space, str(file))
    assert snapshot.nameservers == (ip_address("10.96.0.10"),)
    assert snapshot.search == ("ns.svc.cluster.local", "svc.cluster.local")
