"""Wiring that fails, is stopped, or finds a pod half wired."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from ipaddress import ip_network

import pytest

from binding.ipc import codec
from binding.ipc.wiring import Wiring
from binding.packet import link_names
from guest.network import Route
from tests.bed.cable import cable
from tests.bed.netns import netns
from tests.bed.pod import BLUE, pod
from tests.bed.pods import (
    CALICO,
    FLAT,
    KINDNET,
    MAC,
    NET_ADMIN_ONLY,
    PTP,
    ROOT,
    UNPRIVILEGED,
    link,
    veth,
)
from tests.bed.wirings import ADDRESSES, ETH0, PRIMARY, indexes, links, state, wire

pytestmark = pytest.mark.netns


@pytest.mark.parametrize(
    "cni",
    [FLAT, CALICO, KINDNET, PTP],
    ids=["a subnet", "Calico", "kindnet: no connected subnet", "ptp: connected subnet deleted"],
)
def test_failing_at_any_step_leaves_the_pod_as_the_cni_made_it(cni):
    with veth() as (inside, _):
        inside.ip(f"""{cni}
            addr add 10.0.0.43 peer 10.9.0.1/32 dev eth0
            addr add 10.0.0.44/24 dev eth0
            route add 10.8.0.0/16 via 10.0.0.77 dev eth0 onlink metric 77
            route add 10.7.0.0/16 dev eth0 table 100
            route add fd07::/64 via fe80::7 dev eth0 metric 7
            neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0""")
        inside.sysctl(ipv4__conf__eth0__arp_ignore=2)
        state(inside)
        done = subprocess.run(
            inside.command(sys.executable, "-m", "tests.bed.stop_at_each_step"),
            input=codec.encode((PRIMARY,)), cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["differing"] == {}
        assert {"rename eth0 to eth0-nic", "bring up tap0"} <= set(result["tried"])


def test_when_the_second_nic_fails_the_first_is_undone_too():
    with pod("flat", blue=True) as made:
        before = state(made.netns)
        flat = made.layout
        first = Wiring(ETH0, flat.mac, flat.mtu, (*flat.ipv4, *flat.ipv6))
        impossible = Wiring(link_names.links(BLUE, primary=False), "0a:58:0a:64:00:05", 999_999)
        failure = wire(made.netns, first, impossible)
        assert failure["step"] == "create bridge k6t-16477688c0e"
        assert state(made.netns) == before


@pytest.mark.parametrize(
    ("prefix", "step", "privilege"),
    [
        (UNPRIVILEGED, "create bridge k6t-eth0", "NET_ADMIN"),
        (
            ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"),
            "create tap tap0",
            "/dev/net/tun",
        ),
    ],
    ids=["without NET_ADMIN", "without /dev/net/tun"],
)
def test_a_missing_privilege_is_named_and_nothing_changed(prefix, step, privilege):
    with veth() as (inside, _):
        inside.ip(FLAT)
        before = state(inside)
        failure = wire(inside, prefix=prefix)
        assert (failure["step"], failure["privilege"]) == (step, privilege)
        assert failure["error"]
        assert state(inside) == before


def test_net_admin_and_the_tun_device_are_all_it_needs():
    with veth() as (inside, _):
        inside.ip(FLAT)
        assert wire(inside, prefix=NET_ADMIN_ONLY)["wired"] == ["eth0"]


def test_a_link_that_no_bridge_takes_is_named_with_the_way_out():
    with veth() as (inside, _):
        inside.ip("link add link eth0 name pod16477688c0e type macvlan mode bridge")
        blue = Wiring(link_names.links(BLUE, primary=False), MAC, 1450)
        before = state(inside)
        assert "have the network attached by a veth" in wire(inside, blue)["error"]
        assert state(inside) == before


def test_a_foreign_link_in_our_place_is_left_alone_and_named():
    with veth() as (inside, _):
        inside.ip(FLAT)
        inside.ip("link add tap0 type veth peer name other")
        before = state(inside)
        failure = wire(inside)
        assert "a link tap0 is there already and not ours (veth)" in failure["error"]
        assert state(inside) == before


def test_a_pod_without_the_link_says_which_links_there_are():
    with netns("pod") as space:
        assert "no link eth0, only lo" in wire(space)["error"]


@pytest.mark.parametrize("delay", [0.06, 0.09, 0.11, 0.13, 0.15, 0.17, 0.2, 0.25])
def test_a_terminated_run_leaves_all_or_nothing(delay):
    with veth() as (inside, _):
        inside.ip(FLAT)
        before = state(inside)
        run = inside.popen(
            *(sys.executable, "-m", "binding.plumb", "wire"),
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        run.stdin.write(codec.encode((PRIMARY,)).encode())
        run.stdin.close()
        time.sleep(delay)
        os.kill(run.pid, signal.SIGTERM)
        answer, code = run.stdout.read().decode(), run.wait(10)
        run.stdout.close()
        if "tap0" in links(inside):
            assert wire(inside) == {"wired": [], "adopted": ["eth0"]}
        else:
            assert code == -signal.SIGTERM or "stopped by SIGTERM" in answer
            assert state(inside) == before


# --- again --------------------------------------------------------------------------------


def test_what_is_wired_is_adopted_untouched():
    with veth() as (inside, _):
        inside.ip(FLAT)
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
    with veth() as (inside, _):
        inside.ip(FLAT)
        wire(inside)
        inside.ip(kill)
        wire(inside)
        assert wire(inside) == {"wired": [], "adopted": ["eth0"]}
        assert link(inside, "eth0")["address"] == MAC


def test_other_queues_make_another_tap():
    with veth() as (inside, _):
        inside.ip(FLAT)
        wire(inside)
        assert wire(inside, Wiring(ETH0, MAC, 1450, ADDRESSES, 2))["wired"] == ["eth0"]
        assert link(inside, "tap0")["linkinfo"]["info_data"]["multi_queue"]


def test_a_tap_in_use_is_never_taken_away():
    with veth() as (inside, _):
        inside.ip(FLAT)
        wire(inside)
        with cable(inside, mac=MAC):
            before = indexes(inside)
            failure = wire(inside, Wiring(ETH0, MAC, 1450, ADDRESSES, 2))
            assert "tap0 is in use" in failure["error"]
            assert indexes(inside) == before


def test_undoing_a_half_made_wiring_gives_the_pod_its_network_back():
    """The run before was killed: what the kernel forgot is taken from the snapshot."""
    routes = (
        Route(ip_network("0.0.0.0/0"), ADDRESSES[0].network[1]),
        Route(ADDRESSES[0].network),
        Route(ADDRESSES[1].network),
    )
    with veth() as (inside, _):
        inside.ip(FLAT)
        wire(inside)
        inside.ip("link del eth0")
        remembered = Wiring(ETH0, MAC, 1450, ADDRESSES, 1, 107, routes)
        prefix = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh")
        assert wire(inside, remembered, prefix=prefix)["step"] == "create tap tap0"
        assert links(inside) == {"eth0"}
        assert {one["dst"] for one in inside.query("-4", "route", "show")} == {
            "default",
            "10.0.0.0/24",
        }
        assert [
            one["local"]
            for one in inside.query("addr", "show", "dev", "eth0")[0]["addr_info"]
            if one["scope"] == "global"
        ] == ["10.0.0.42", "fd00::42"]
