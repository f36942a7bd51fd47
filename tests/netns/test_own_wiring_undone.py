"""Wiring that fails, is stopped, or finds a pod half wired."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from ipaddress import ip_network

import pytest

from binding.ipc import codec
from binding.ipc.wiring import Wiring
from binding.packet import link_names
from guest.network import Route
from tests.bed.cable import cable
from tests.bed.layouts import LAYOUTS
from tests.bed.netns import netns
from tests.bed.plumb import (
    NET_ADMIN_ONLY,
    PRIMARY,
    ROOT,
    UNPRIVILEGED,
    WITHOUT_TUN,
    wire,
    wiring,
)
from tests.bed.pod import BLUE, pod
from tests.bed.pod_state import as_before, indexes, link, links, state

FLAT = LAYOUTS["flat"]
FIRST = ("flat", "calico", "aws-vpc-cni", "gke-ptp")
"""Layouts of `make test`; together they have every kind of address, route and neighbour."""


@pytest.mark.parametrize(
    "layout",
    [pytest.param(one, marks=() if one in FIRST else pytest.mark.matrix) for one in LAYOUTS],
)
def test_failing_at_any_step_leaves_the_pod_as_the_cni_made_it(layout):
    with pod(layout, dad=False) as made:
        fails_everywhere(made)


def test_failing_at_any_step_makes_no_connected_route_that_the_cni_had_deleted():
    """As the ptp plugin does: its pods reach their subnet through the gateway."""
    with pod("flat", dad=False) as made:
        made.netns.ip("""
            route del 10.244.1.0/24 dev eth0
            route del fd00:10:244:1::/64 dev eth0
            route add 10.244.1.1 dev eth0 scope link
            route add 10.244.1.0/24 via 10.244.1.1 dev eth0
            route add fd00:10:244:1::1 dev eth0""")
        fails_everywhere(made)


def fails_everywhere(made):
    """Give eth0 what a rollback could lose, and let wiring fail at each of its steps."""
    inside = made.netns
    inside.ip("""
        addr add 10.0.0.43 peer 10.9.0.1/32 dev eth0
        addr add 10.0.0.44/24 dev eth0
        addr add 10.0.0.45/24 dev eth0
        route add 10.8.0.0/16 via 10.0.0.77 dev eth0 onlink metric 77
        route add 10.7.0.0/16 dev eth0 table 100
        route add fd07::/64 via fe80::7 dev eth0 metric 7
        neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent""")
    inside.sysctl(ipv4__conf__eth0__arp_ignore=2)
    done = subprocess.run(
        inside.command(sys.executable, "-m", "tests.bed.stop_at_each_step", inside.name),
        input=codec.encode((wiring(made.layout),)), cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["differing"] == {}
    assert {"rename eth0 to eth0-nic", "bring up tap0"} <= set(result["tried"])


_RENEWED_WITHOUT_DESCRIPTORS = """
import resource
from binding.plumb.netlink import connect, dump, renew
with connect() as ipr:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    renew(ipr)
    print([link.get("ifname") for link in dump(ipr.link)])
"""


def test_where_the_node_has_no_descriptor_for_another_socket_the_old_one_undoes():
    with netns("short") as space:
        command = space.command(sys.executable, "-c", _RENEWED_WITHOUT_DESCRIPTORS)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "['lo']\n", done.stderr


def test_when_the_second_nic_fails_the_first_is_undone_too():
    with pod("flat", blue=True, dad=False) as made:
        before = state(made.netns)
        impossible = Wiring(link_names.names_of(BLUE, primary=False), "0a:58:0a:64:00:05", 999_999)
        failure = wire(made.netns, PRIMARY, impossible)
        assert failure["step"] == "create bridge k6t-16477688c0e"
        assert as_before(made.netns, before)


@pytest.mark.parametrize(
    ("prefix", "step", "privilege"),
    [
        (UNPRIVILEGED, "create bridge k6t-eth0", "NET_ADMIN"),
        (
            WITHOUT_TUN,
            "create tap tap0",
            "/dev/net/tun",
        ),
    ],
    ids=["without NET_ADMIN", "without /dev/net/tun"],
)
def test_a_missing_privilege_is_named_and_nothing_changed(prefix, step, privilege):
    with pod("flat", dad=False) as made:
        inside = made.netns
        before = state(inside)
        failure = wire(inside, prefix=prefix)
        assert (failure["step"], failure["privilege"]) == (step, privilege)
        assert failure["error"]
        assert as_before(inside, before)


def test_net_admin_and_the_tun_device_are_all_it_needs():
    with pod("flat", dad=False) as made:
        inside = made.netns
        assert wire(inside, prefix=NET_ADMIN_ONLY)["wired"] == ["eth0"]


def test_a_link_that_no_bridge_takes_is_named_with_the_way_out():
    with pod("flat", dad=False) as made:
        inside = made.netns
        inside.ip("link add link eth0 name pod16477688c0e type macvlan mode bridge")
        blue = Wiring(link_names.names_of(BLUE, primary=False), FLAT.mac, 1450)
        before = state(inside)
        assert "have the network attached by a veth" in wire(inside, blue)["error"]
        assert as_before(inside, before)


def test_a_foreign_link_in_our_place_is_left_alone_and_named():
    with pod("flat", dad=False) as made:
        inside = made.netns
        inside.ip("link add tap0 type veth peer name other")
        before = state(inside)
        failure = wire(inside)
        assert (
            "link tap0 already exists and dsbridge did not create it (kind: veth)"
            in failure["error"]
        )
        assert as_before(inside, before)


def test_a_pod_without_the_link_says_which_links_there_are():
    with netns("pod") as space:
        assert "no link eth0, only lo" in wire(space)["error"]


@pytest.mark.parametrize("delay", [0.06, 0.09, 0.11, 0.13, 0.15, 0.17, 0.2, 0.25])
def test_a_terminated_run_leaves_all_or_nothing(delay):
    with pod("flat", dad=False) as made:
        inside = made.netns
        before = state(inside)
        run = inside.popen(
            *(sys.executable, "-m", "binding.plumb", "wire"),
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        run.stdin.write(codec.encode((PRIMARY,)).encode())
        run.stdin.close()
        time.sleep(delay)
        os.kill(run.pid, signal.SIGTERM)
        answer, code = run.stdout.read().decode(), run.wait(60)
        run.stdout.close()
        if "tap0" in links(inside):
            assert wire(inside) == {"wired": [], "adopted": ["eth0"]}
        else:
            assert code == -signal.SIGTERM or "stopped by SIGTERM" in answer
            assert as_before(inside, before)


# --- again --------------------------------------------------------------------------------


def test_what_is_wired_is_adopted_untouched():
    with pod("flat", dad=False) as made:
        inside = made.netns
        wire(inside)
        before = indexes(inside)
        assert wire(inside) == {"wired": [], "adopted": ["eth0"]}
        assert indexes(inside) == before


@pytest.mark.parametrize(
    "kill",
    [
        "link del tap0",
        "link del eth0",
        "link set eth0-nic nomaster",
        "link set eth0-nic down",
        "link del k6t-eth0",
        "link del eth0\nlink del tap0\nlink del k6t-eth0",
        "link del eth0\nlink set eth0-nic down\nlink set eth0-nic name eth0",
        "link set tap0 mtu 1300",
    ],
    ids=[
        "no tap", "no placeholder", "NIC not attached", "NIC down", "no bridge",
        "only the NIC is renamed", "NIC named eth0 again", "another MTU",
    ],
)  # fmt: skip
def test_what_a_killed_run_left_is_completed(kill):
    with pod("flat", dad=False) as made:
        inside = made.netns
        wire(inside)
        inside.ip(kill)
        wire(inside)
        assert wire(inside) == {"wired": [], "adopted": ["eth0"]}
        assert link(inside, "eth0")["address"] == FLAT.mac


def test_other_queues_make_another_tap():
    with pod("flat", dad=False) as made:
        inside = made.netns
        wire(inside)
        assert wire(inside, wiring(FLAT, queues=2))["wired"] == ["eth0"]
        assert link(inside, "tap0")["linkinfo"]["info_data"]["multi_queue"]


def test_a_tap_in_use_is_never_taken_away():
    with pod("flat", dad=False) as made:
        inside = made.netns
        wire(inside)
        with cable(inside, mac=FLAT.mac):
            before = indexes(inside)
            failure = wire(inside, wiring(FLAT, queues=2))
            assert "tap0 is open in QEMU" in failure["error"]
            assert indexes(inside) == before


def test_undoing_a_half_made_wiring_gives_the_pod_its_network_back():
    """The run before was killed: what the kernel forgot is taken from the snapshot."""
    routes = (
        Route(ip_network("0.0.0.0/0"), FLAT.ipv4[0].network[1]),
        Route(FLAT.ipv4[0].network),
        Route(FLAT.ipv6[0].network),
    )
    with pod("flat", dad=False) as made:
        inside = made.netns
        wire(inside)
        inside.ip("link del eth0")
        remembered = replace(PRIMARY, routes=routes)
        assert wire(inside, remembered, prefix=WITHOUT_TUN)["step"] == "create tap tap0"
        assert links(inside) == {"eth0"}
        assert {one["dst"] for one in inside.query("-4", "route", "show")} == {
            "default",
            "10.244.1.0/24",
        }
        assert [
            one["local"]
            for one in inside.query("addr", "show", "dev", "eth0")[0]["addr_info"]
            if one["scope"] == "global"
        ] == ["10.244.1.5", "fd00:10:244:1::5"]
