from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from ipaddress import ip_interface, ip_network

import pytest

from binding import codec, names
from binding.guest import Route
from binding.wiring import Wiring
from tests.bed.cable import cable
from tests.bed.netns import Netns, netns
from tests.bed.pod import BLUE, pod
from tests.bed.wait import until
from tests.netns.pods import (
    CALICO,
    FLAT,
    KINDNET,
    MAC,
    NET_ADMIN_ONLY,
    PTP,
    ROOT,
    UNPRIVILEGED,
    link,
    plumb,
    veth,
)

pytestmark = pytest.mark.netns

ETH0 = names.links("eth0", primary=True)
ADDRESSES = (ip_interface("10.0.0.42/24"), ip_interface("fd00::42/64"))
PRIMARY = Wiring(ETH0, MAC, 1450, ADDRESSES)


def wire(space: Netns, *wirings: Wiring, prefix: tuple[str, ...] = ()) -> dict[str, object]:
    done = plumb(space, "wire", stdin=codec.encode(wirings or (PRIMARY,)), prefix=prefix)
    answer = json.loads(done.stdout)
    assert (done.returncode == 0) is ("wired" in answer), done
    return answer


def links(space: Netns) -> set[str]:
    return {one["ifname"] for one in space.query("link", "show")} - {"lo"}


def indexes(space: Netns) -> dict[str, int]:
    return {one["ifname"]: one["ifindex"] for one in space.query("link", "show")}


def state(space: Netns) -> list[object]:
    """All that a rollback has to bring back, once duplicate address detection is over."""
    until(lambda: "tentative" not in str(space.query("addr", "show")), "DAD")
    eth0 = link(space, "eth0")
    routes = space.query("-4", "route", "show", "table", "all")
    routes += space.query("-6", "route", "show", "table", "all")
    return [
        links(space),
        [eth0["ifindex"], eth0["address"], eth0["mtu"], eth0["flags"]],
        space.query("addr", "show", "dev", "eth0")[0]["addr_info"],
        sorted(routes, key=str),
    ]


def test_the_pod_is_wired_as_kubevirt_would_name_it():
    with veth() as (inside, _):
        inside.ip(FLAT)
        assert wire(inside) == {"wired": ["eth0"], "adopted": []}
        bridge, nic, tap, eth0 = (
            link(inside, name) for name in ("k6t-eth0", "eth0-nic", "tap0", "eth0")
        )
        assert {nic["master"], tap["master"]} == {"k6t-eth0"}
        assert {one["mtu"] for one in (bridge, nic, tap, eth0)} == {1450}
        assert all("UP" in one["flags"] for one in (bridge, nic, tap))
        assert (eth0["address"], "UP" in eth0["flags"]) == (MAC, False)
        assert [
            f"{one['local']}/{one['prefixlen']}"
            for one in inside.query("addr", "show", "dev", "eth0")[0]["addr_info"]
        ] == [str(address) for address in ADDRESSES]


def test_nothing_but_the_placeholder_has_an_address_or_the_guests_mac():
    with veth() as (inside, _):
        inside.ip(FLAT)
        wire(inside)
        for name in ("k6t-eth0", "eth0-nic", "tap0"):
            shown = link(inside, name)
            assert shown["address"] != MAC
            assert int(shown["address"][:2], 16) & 3 == 2, "locally administered, unicast"
            assert shown["inet6_addr_gen_mode"] == "none"
            assert inside.query("addr", "show", "dev", name)[0]["addr_info"] == []
            assert inside.run("cat", f"/proc/sys/net/ipv4/conf/{name}/arp_ignore") == "1\n"


def test_bridge_and_ports_are_set_for_one_guest_and_one_network():
    with veth() as (inside, _):
        inside.ip(FLAT)
        wire(inside)
        bridge = link(inside, "k6t-eth0")["linkinfo"]["info_data"]
        assert (bridge["stp_state"], bridge["forward_delay"], bridge["mcast_snooping"]) == (0, 0, 0)
        port = {
            name: link(inside, name)["linkinfo"]["info_slave_data"]["learning"]
            for name in ("eth0-nic", "tap0")
        }
        assert port == {"eth0-nic": False, "tap0": True}


def test_the_bridges_mac_stays_when_ports_come():
    with veth() as (inside, _):
        inside.ip(FLAT)
        wire(inside)
        before = link(inside, "k6t-eth0")["address"]
        inside.ip("link add low address 02:00:00:00:00:00 type veth peer name other")
        inside.ip("link set low master k6t-eth0")
        assert link(inside, "k6t-eth0")["address"] == before


@pytest.mark.parametrize("queues", [1, 2, 4], ids=["one queue", "two queues", "four queues"])
def test_the_tap_is_one_that_qemu_may_open(queues):
    with veth() as (inside, _):
        inside.ip(FLAT)
        wire(inside, Wiring(ETH0, MAC, 1450, ADDRESSES, queues))
        tap = link(inside, "tap0")["linkinfo"]["info_data"]
        assert tap["type"] == "tap"
        assert tap["persist"]
        # iproute2 would name the user that has this number here.
        owner = inside.run("cat", "/sys/class/net/tap0/owner", "/sys/class/net/tap0/group")
        assert owner.split() == ["107", "107"]
        assert tap.get("multi_queue", False) is (queues > 1)
        assert not tap["vnet_hdr"]


def test_secondary_networks_are_wired_beside_the_primary():
    with pod("flat", blue=True) as made:
        flat = made.layout
        blue = Wiring(names.links(BLUE, primary=False), "0a:58:0a:64:00:05", 1500)
        first = Wiring(ETH0, flat.mac, flat.mtu, (*flat.ipv4, *flat.ipv6))
        assert wire(made.netns, first, blue) == {"wired": ["eth0", BLUE], "adopted": []}
        assert links(made.netns) >= {
            *("k6t-16477688c0e", "16477688c0e-nic", "tap16477688c0e", BLUE),
            *("k6t-eth0", "eth0-nic", "tap0", "eth0"),
        }


def test_a_pod_without_ipv6_is_wired_all_the_same():
    with veth() as (inside, _):
        inside.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        inside.ip("addr add 10.0.0.42/24 dev eth0")
        assert wire(inside, Wiring(ETH0, MAC, 1450, ADDRESSES[:1]))["wired"] == ["eth0"]


# --- the path -----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["flat", "calico", "kube-ovn"])
@pytest.mark.parametrize("queues", [1, 2], ids=["one queue", "two queues"])
def test_a_guest_with_the_pods_mac_and_addresses_reaches_the_gateway(layout, queues):
    with pod(layout) as made:
        is_ = made.layout
        wire(made.netns, Wiring(ETH0, is_.mac, is_.mtu, (*is_.ipv4, *is_.ipv6), queues))
        with cable(made.netns, mac=is_.mac, mtu=is_.mtu, queues=queues) as guest:
            guest.ip("link set eth0 up")
            guest.ip("\n".join(f"addr add {one} dev eth0" for one in is_.ipv4))
            guest.ip("\n".join(f"addr add {one} dev eth0 nodad" for one in is_.ipv6))
            guest.ip("\n".join(f"route add {one}" for one in is_.routes))
            for address in ("192.0.2.10", "2001:db8:2::10"):
                until(lambda to=address: guest.reaches(to), f"the guest reaches {address}")


def test_the_pod_does_not_answer_arp_for_the_guests_address():
    with veth() as (inside, outside):
        inside.ip(FLAT)
        wire(inside)
        outside.ip("addr add 10.0.0.1/24 dev peer0")
        assert not outside.reaches("10.0.0.42")
        neighbours = outside.query("neigh", "show", "10.0.0.42")
        assert [one["state"] for one in neighbours] in ([["FAILED"]], [["INCOMPLETE"]])


KNOCK = """
import socket
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0-nic", 0))
raw.send(b"\\xff" * 6 + b"\\x02" * 6 + b"\\x88\\xb5" + bytes(46))
"""


def knock(inside: Netns) -> None:
    """Send one frame, which shows that the capture would have seen others."""
    inside.run(sys.executable, "-c", KNOCK)
    time.sleep(0.2)


def test_nothing_leaves_the_pod_by_itself():
    """From before the wiring until 5 s after it: no DAD, RS, MLD, ARP or BPDU of ours."""
    with veth() as (inside, outside):
        inside.ip(FLAT)
        until(lambda: "tentative" not in str(inside.query("addr", "show", "dev", "eth0")), "DAD")
        # Until then it is the CNI's own link, whose MLD reports are repeated at random times.
        inside.ip("link set eth0 down")
        capture = outside.popen(
            *("tcpdump", "-i", "peer0", "-Q", "in", "-U", "--immediate-mode", "-w", "-"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert b"listening" in capture.stderr.readline()
            wire(inside)
            time.sleep(5)
            knock(inside)
        finally:
            capture.terminate()
            frames = capture.communicate(timeout=10)[0]
        text = subprocess.run(
            ["tcpdump", "-r", "-", "-nn", "-e", "-q"], input=frames, capture_output=True, check=True
        ).stdout.decode()
        heard = [line for line in text.splitlines() if not line.startswith("\t")]
        assert len(heard) == 1, heard
        assert "0x88b5" in heard[0]


# --- all or nothing -----------------------------------------------------------------------


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
            inside.command(sys.executable, "-m", "tests.netns.stop_at_each_step"),
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
        impossible = Wiring(names.links(BLUE, primary=False), "0a:58:0a:64:00:05", 999_999)
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
        blue = Wiring(names.links(BLUE, primary=False), MAC, 1450)
        before = state(inside)
        assert "domainAttachmentType" in wire(inside, blue)["error"]
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


@pytest.mark.parametrize("delay", [0.1, 0.14, 0.17, 0.19, 0.21, 0.23, 0.26, 0.3])
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
