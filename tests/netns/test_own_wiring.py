"""What the own shape makes of a pod, and what then passes."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from binding.ipc import codec
from binding.ipc.wiring import Wiring
from binding.packet import link_names
from binding.packet.guard import Filter, GuardTable
from tests.bed.cable import cable
from tests.bed.capture import capture
from tests.bed.launcher import collect
from tests.bed.layouts import LAYOUTS
from tests.bed.netns import netns
from tests.bed.plumb import PRIMARY, plumb, wire, wiring
from tests.bed.pod import BARE, BLUE, pod
from tests.bed.pod_state import link, links
from tests.bed.sidecar import sidecar
from tests.bed.wait import until
from tests.samples import OWN_DOMAIN, vmi_json

FLAT = LAYOUTS["flat"]


def test_the_pod_is_wired_as_kubevirt_would_name_it():
    with pod("flat") as made:
        inside = made.netns
        assert wire(inside) == {"wired": ["eth0"], "adopted": []}
        bridge, nic, tap, eth0 = (
            link(inside, name) for name in ("k6t-eth0", "eth0-nic", "tap0", "eth0")
        )
        assert {nic["master"], tap["master"]} == {"k6t-eth0"}
        assert {one["mtu"] for one in (bridge, nic, tap, eth0)} == {1450}
        assert all("UP" in one["flags"] for one in (bridge, nic, tap))
        assert (eth0["address"], "UP" in eth0["flags"]) == (FLAT.mac, False)
        assert [
            f"{one['local']}/{one['prefixlen']}"
            for one in inside.query("addr", "show", "dev", "eth0")[0]["addr_info"]
        ] == [str(one) for one in (*FLAT.ipv4, *FLAT.ipv6)]


def test_nothing_but_the_placeholder_has_an_address_or_the_guests_mac():
    with pod("flat") as made:
        inside = made.netns
        wire(inside)
        for name in ("k6t-eth0", "eth0-nic", "tap0"):
            shown = link(inside, name)
            assert shown["address"] != FLAT.mac
            assert int(shown["address"][:2], 16) & 3 == 2, "locally administered, unicast"
            assert shown["inet6_addr_gen_mode"] == "none"
            assert inside.query("addr", "show", "dev", name)[0]["addr_info"] == []
            assert inside.run("cat", f"/proc/sys/net/ipv4/conf/{name}/arp_ignore") == "1\n"


def test_bridge_and_ports_are_set_for_one_guest_and_one_network():
    with pod("flat") as made:
        inside = made.netns
        wire(inside)
        bridge = link(inside, "k6t-eth0")["linkinfo"]["info_data"]
        assert (bridge["stp_state"], bridge["forward_delay"], bridge["mcast_snooping"]) == (0, 0, 0)
        port = {
            name: link(inside, name)["linkinfo"]["info_slave_data"]["learning"]
            for name in ("eth0-nic", "tap0")
        }
        assert port == {"eth0-nic": False, "tap0": True}


def test_the_bridges_mac_stays_when_ports_come():
    with pod("flat") as made:
        inside = made.netns
        wire(inside)
        before = link(inside, "k6t-eth0")["address"]
        inside.ip("link add low address 02:00:00:00:00:00 type veth peer name other")
        inside.ip("link set low master k6t-eth0")
        assert link(inside, "k6t-eth0")["address"] == before


@pytest.mark.parametrize("queues", [1, 2, 4], ids=["one queue", "two queues", "four queues"])
def test_the_tap_is_one_that_qemu_may_open(queues):
    with pod("flat") as made:
        inside = made.netns
        wire(inside, wiring(FLAT, queues))
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
        blue = Wiring(link_names.names_of(BLUE, primary=False), "0a:58:0a:64:00:05", 1500)
        assert wire(made.netns, PRIMARY, blue) == {"wired": ["eth0", BLUE], "adopted": []}
        assert links(made.netns) >= {
            *("k6t-16477688c0e", "16477688c0e-nic", "tap16477688c0e", BLUE),
            *("k6t-eth0", "eth0-nic", "tap0", "eth0"),
        }


def test_a_pod_without_ipv6_is_wired_all_the_same():
    with pod(BARE) as made:
        inside = made.netns
        inside.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        inside.ip(f"addr add {FLAT.ipv4[0]} dev eth0")
        assert wire(inside, wiring(replace(FLAT, ipv6=())))["wired"] == ["eth0"]


# --- the path -----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["flat", "calico", "kube-ovn"])
@pytest.mark.parametrize("queues", [1, 2], ids=["one queue", "two queues"])
def test_a_guest_with_the_pods_mac_and_addresses_reaches_the_gateway(layout, queues):
    with pod(layout) as made:
        is_ = made.layout
        wire(made.netns, wiring(is_, queues))
        with cable(made.netns, mac=is_.mac, mtu=is_.mtu, queues=queues) as guest:
            guest.ip("link set eth0 up")
            guest.ip("\n".join(f"addr add {one} dev eth0" for one in is_.ipv4))
            guest.ip("\n".join(f"addr add {one} dev eth0 nodad" for one in is_.ipv6))
            guest.ip("\n".join(f"route add {one}" for one in is_.routes))
            for address in ("192.0.2.10", "2001:db8:2::10"):
                until(lambda to=address: guest.reaches(to), f"the guest reaches {address}")


def test_the_pod_does_not_answer_arp_for_the_guests_address():
    with pod("flat") as made:
        inside, outside = made.netns, made.gateway
        wire(inside)
        assert not outside.reaches(FLAT.ipv4[0].ip)
        neighbours = outside.query("neigh", "show", str(FLAT.ipv4[0].ip))
        assert [one["state"] for one in neighbours] in ([["FAILED"]], [["INCOMPLETE"]])


KNOCK = b"\xff" * 6 + b"\2" * 6 + b"\x88\xb5" + bytes(46)


def test_nothing_leaves_the_pod_by_itself():
    """From before the wiring until 5 s after it: no DAD, RS, MLD, ARP or BPDU of ours."""
    with pod("flat") as made:
        inside = made.netns
        until(lambda: "tentative" not in str(inside.query("addr", "show", "dev", "eth0")), "DAD")
        # Until then it is the CNI's own link, whose MLD reports are repeated at random times.
        inside.ip("link set eth0 down")
        with capture(made.gateway, "pod0") as outside:
            wire(inside)
            time.sleep(5)
            with capture(inside, "eth0-nic") as nic:
                nic.send(KNOCK)  # which shows that others would have been seen
            outside.wait(KNOCK.__eq__, "the frame of this test")
            assert outside.received == [KNOCK]


# --- with the guard -----------------------------------------------------------------------


def both(inside, *filters):
    asked = (codec.encode((PRIMARY,)), codec.encode(GuardTable("dsbridge", filters)))
    done = plumb(inside, "wire", "guard", stdin="\n".join(asked))
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def test_one_run_wires_and_guards():
    with pod("flat") as made:
        inside = made.netns
        answers, code = both(inside, Filter("tap0", ("ra",)))
        assert (answers[0]["wired"], len(answers[1]["places"]), code) == (["eth0"], 1, 0)
        assert "tap0" in inside.run("nft", "list", "ruleset")


def test_the_first_call_leaves_no_moment_without_a_guard():
    with pod("flat") as made, sidecar(made) as side, collect(side.hooks_dir) as hook:
        hook.on_define_domain(OWN_DOMAIN, vmi_json())
        listed = made.netns.run("nft", "list", "ruleset")
        assert 'device "tap0"' in listed
        assert 'device "eth0-nic"' in listed


def test_a_guard_that_is_refused_leaves_the_wiring_and_says_so_after_it():
    with pod("flat") as made:
        inside = made.netns
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
    with pod(BARE) as made:
        inside = made.netns
        done = plumb(inside, "guard", "wire", stdin="[]\n[]")
        assert (done.returncode, done.stdout) == (2, "")
        assert "usage" in done.stderr
