"""What others change under a running guest: seen within seconds, mended where it is ours, named."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager

import pytest

from tests.bed.capture import capture
from tests.bed.guests import started
from tests.bed.wait import until

OURS = ("k6t-eth0", "tap0", "eth0-nic")
SOON = 10
"""Seconds; 2 on a quiet machine."""
COOKIE = b"\x63\x82\x53\x63"


def asks(guest, name="a", tries=4):
    """Ask for a lease, as a guest that boots; another host name is another request."""
    words = f"udhcpc -f -n -q -t {tries} -T 1 -x hostname:{name} -i eth0 -s /bin/true"
    return "obtained" in guest.run("sh", "-c", f"busybox {words} 2>&1", check=False)


@contextmanager
def leased(shape="managed"):
    with started("flat", shape) as vm:
        vm.guest.ip("link set eth0 up")
        assert asks(vm.guest)
        yield vm


def warnings(vm):
    return "; ".join(vm.sidecar.status()["guests"][0]["warnings"])


def tables(vm):
    return vm.pod.netns.run("nft", "list", "tables")


def rules(vm):
    listed = vm.pod.netns.run("nft", "list", "ruleset")
    counted = re.compile(r"counter packets \d+ bytes \d+")
    return [counted.sub("", line.strip()) for line in listed.splitlines() if "drop" in line]


def nothing_leaves(vm, name):
    """Ask once more and say whether no DHCP was seen outside the pod."""
    with capture(vm.pod.gateway, "pod0") as outside:
        assert asks(vm.guest, name)
        return COOKIE not in b"".join(outside.read().received)


@pytest.mark.parametrize(
    "change",
    [
        "flush ruleset",
        "delete table netdev dsbridge",
        "flush table netdev dsbridge",
        "delete chain netdev dsbridge tap0",
        "flush chain netdev dsbridge eth0-nic",
    ],
)
def test_a_guard_that_somebody_changed_is_set_again(change):
    with leased() as vm:
        before = rules(vm)
        assert before
        vm.pod.netns.run("nft", *change.split())
        until(lambda: rules(vm) == before, "the guard is whole again", SOON)
        until(lambda: vm.sidecar.status()["guard"] == "on", "status says so", SOON)
        assert "another program changed the guard" in vm.sidecar.log
        assert nothing_leaves(vm, "b")


def listening_bridges(vm):
    links = vm.pod.netns.query("link", "show")
    return {one["ifname"]: one["ifindex"] for one in links if one["ifname"].startswith("dsb-")}


@pytest.mark.parametrize("change", ["link del {}", "link set {} down"])
def test_a_listening_bridge_that_is_gone_or_down_is_made_again(change):
    with leased() as vm:
        names = listening_bridges(vm)
        assert names
        vm.pod.netns.ip("\n".join(change.format(name) for name in names))
        until(lambda: asks(vm.guest, "b"), "the guest is answered again", 30)
        until(lambda: listening_bridges(vm).keys() == names.keys(), "they are there again", SOON)
        assert nothing_leaves(vm, "c")


def test_a_bridge_that_is_down_is_brought_up_where_we_made_it():
    with leased("own") as vm:
        vm.pod.netns.ip("link set k6t-eth0 down")
        until(lambda: reaches_gateway(vm), "the guest reaches its gateway", 20)
        changed = set(re.findall(r'mended: [^"]+', vm.sidecar.log))
        assert changed == {"mended: bring up k6t-eth0"}, "the log names what was changed alone"


def reaches_gateway(vm):
    address = vm.pod.layout.ipv4[0]
    vm.guest.run("ip", "addr", "replace", str(address), "dev", "eth0")
    return vm.guest.reaches(address.network[1])


@pytest.mark.parametrize(
    "change",
    [
        "link del k6t-eth0",
        "link set eth0-nic nomaster",
        "link set tap0 nomaster",
        "link set eth0-nic down",
        "link set eth0-nic down\nlink set eth0-nic name other\nlink set other up",
        "link add br9 type bridge\nlink set br9 up\nlink set eth0-nic master br9",
        "link set tap0 mtu 1300",
        "link del eth0",
    ],
)
def test_links_that_we_made_are_mended_without_a_new_tap(change):
    with leased("own") as vm:
        before = vm.pod.netns.query("link", "show", "dev", "tap0")[0]["ifindex"]
        vm.pod.netns.ip(change)
        until(lambda: "mended: " in vm.sidecar.log, "something is mended", SOON)
        until(lambda: not warnings(vm), "nothing is wrong any more", SOON)
        links = {one["ifname"]: one for one in vm.pod.netns.query("-d", "link", "show")}
        assert {links[one]["inet6_addr_gen_mode"] for one in (*OURS, "eth0")} == {"none"}
        assert not links["eth0-nic"]["linkinfo"]["info_slave_data"]["learning"]
        assert links["tap0"]["ifindex"] == before
        assert links["tap0"]["master"] == links["eth0-nic"]["master"] == "k6t-eth0"
        assert links["tap0"]["mtu"] == vm.pod.layout.mtu
        assert "eth0" in links
        until(lambda: reaches_gateway(vm), "the guest reaches its gateway", 20)
        assert asks(vm.guest, "b")


@pytest.mark.parametrize(
    ("change", "undo", "named"),
    [
        ("link set eth0-nic down", "link set eth0-nic up", "pod NIC eth0-nic is down"),
        (
            "link set eth0-nic nomaster",
            "link set eth0-nic master k6t-eth0",
            "eth0-nic is no port of bridge k6t-eth0",
        ),
        (
            "link set tap0 nomaster",
            "link set tap0 master k6t-eth0",
            "tap0 is no port of bridge k6t-eth0",
        ),
        ("link set k6t-eth0 down", "link set k6t-eth0 up", "bridge k6t-eth0 is down"),
        ("link set tap0 mtu 1300", "link set tap0 mtu 1450", "tap0 has MTU 1300"),
        ("link set tap0 down", "link set tap0 up", "tap0 is down"),
    ],
)
def test_what_is_kubevirts_is_named_and_its_mending_too(change, undo, named):
    with leased() as vm:
        vm.pod.netns.ip(change)
        until(lambda: named in warnings(vm), "the warning", SOON)
        vm.pod.netns.ip(undo)
        until(lambda: named not in warnings(vm), "the warning is taken back", SOON)
        assert f"resolved: link {named}" in vm.sidecar.log or f"resolved: {named}" in vm.sidecar.log
        assert asks(vm.guest, "b")


def test_a_pod_nic_without_carrier_is_named():
    with leased() as vm:
        vm.pod.gateway.ip("link set pod0 down")
        until(lambda: "eth0-nic has no carrier" in warnings(vm), "the warning", SOON)
        vm.pod.gateway.ip("link set pod0 up")
        until(lambda: not warnings(vm), "the warning is taken back", SOON)


def test_a_tap_made_anew_is_guarded_and_served_without_a_call():
    with started("flat", "managed") as vm:
        mtu = vm.pod.layout.mtu
        vm.pod.netns.ip(f"""
            link del tap0
            tuntap add dev tap0 mode tap user 107 group 107
            link set tap0 mtu {mtu} master k6t-eth0 up""")
        until(lambda: "tap0" in str(rules_of(vm, "tap0")), "the guard is at the new tap", SOON)
        until(lambda: not warnings(vm), "nothing is wrong", SOON)
        from tests.bed.cable import cable  # noqa: PLC0415  # a second one, to the new tap

        with cable(vm.pod.netns, mac=vm.pod.layout.mac, mtu=mtu) as guest:
            guest.ip("link set eth0 up")
            until(lambda: asks(guest, "b"), "the guest is answered", 30)


def rules_of(vm, link):
    try:
        return vm.pod.netns.run("nft", "list", "chain", "netdev", "dsbridge", link)
    except subprocess.CalledProcessError:
        return ""
