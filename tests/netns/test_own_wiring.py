"""What the own shape makes of a pod, and what then passes."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from binding.ipc import codec
from binding.ipc.wiring import Wiring
from binding.packet import link_names
from binding.packet.guard import Filter, Table
from tests.bed.cable import cable
from tests.bed.netns import Netns, netns
from tests.bed.pod import BLUE, pod
from tests.bed.pods import FLAT, MAC, link, plumb, veth
from tests.bed.wait import until
from tests.bed.wirings import ADDRESSES, ETH0, PRIMARY, links, wire

pytestmark = pytest.mark.netns


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
        blue = Wiring(link_names.links(BLUE, primary=False), "0a:58:0a:64:00:05", 1500)
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


# --- with the guard -----------------------------------------------------------------------


def both(inside, *filters):
    asked = (codec.encode((PRIMARY,)), codec.encode(Table("dsbridge", filters)))
    done = plumb(inside, "wire", "guard", stdin="\n".join(asked))
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def test_one_run_wires_and_guards():
    with veth() as (inside, _):
        inside.ip(FLAT)
        answers, code = both(inside, Filter("tap0", ("ra",)))
        assert (answers[0]["wired"], answers[1], code) == (["eth0"], {"links": ["tap0"]}, 0)
        assert "tap0" in inside.run("nft", "list", "ruleset")


def test_a_guard_that_is_refused_leaves_the_wiring_and_says_so_after_it():
    with veth() as (inside, _):
        inside.ip(FLAT)
        answers, code = both(inside, Filter("nolink", ("ra",)))
        assert answers[0]["wired"] == ["eth0"]
        assert "nolink" in answers[1]["step"]
        assert code == 1
        assert wire(inside) == {"wired": [], "adopted": ["eth0"]}


def test_what_cannot_be_wired_is_not_guarded_either():
    with netns("pod") as inside:
        answers, code = both(inside, Filter("lo", ("ra",)))
        assert ["no link eth0" in answer["error"] for answer in answers] == [True]
        assert code == 1
        assert not inside.run("nft", "list", "ruleset")


def test_an_action_that_there_is_not_is_refused_before_anything_is_done():
    with veth() as (inside, _):
        done = plumb(inside, "guard", "wire", stdin="[]\n[]")
        assert (done.returncode, done.stdout) == (2, "")
        assert "usage" in done.stderr
