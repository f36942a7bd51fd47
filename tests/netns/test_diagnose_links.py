"""Settings, addresses and rules in the pod that nobody notices: what `diagnose` and the log say."""

from __future__ import annotations

import shlex
import subprocess
from contextlib import contextmanager

import pytest

from tests.bed.diagnosis import (
    HARM,
    WARNING,
    diagnose,
    until_diagnosed,
    until_logged,
    until_well,
)
from tests.bed.guests import started
from tests.bed.wait import until

GUEST, GATEWAY = "0a:58:0a:f4:01:05", "0a:58:0a:f4:01:01"


@pytest.fixture(scope="module")
def leased(well_guest):
    """Nothing is said of what was undone once it is; a gateway's move is told for an hour."""
    yield well_guest
    until(lambda: diagnose(well_guest).wrong.keys() <= {"gateway-moved"}, "all is well again")


@contextmanager
def changed(vm, change, undo):
    """Run commands in the pod's namespace, and others at the end."""
    vm.pod.netns.run(*shlex.split(change))
    try:
        yield
    finally:
        vm.pod.netns.run(*shlex.split(undo))


PORT = "ip link set {} type bridge_slave"
SETTINGS = [
    (f"{PORT} isolated on", f"{PORT} isolated off", "tap0", WARNING, "tap0: isolated"),
    (f"{PORT} flood off", f"{PORT} flood on", "tap0", WARNING, "tap0: unicast flood off"),
    (f"{PORT} bcast_flood off", f"{PORT} bcast_flood on", "eth0-nic", WARNING, "broadcast flood"),
    (f"{PORT} mcast_flood off", f"{PORT} mcast_flood on", "eth0-nic", WARNING, "multicast flood"),
    (f"{PORT} neigh_suppress on", f"{PORT} neigh_suppress off", "tap0", WARNING, "neigh_suppress"),
    (f"{PORT} proxy_arp on", f"{PORT} proxy_arp off", "eth0-nic", WARNING, "proxy_arp on"),
    (
        *("ip link add other master k6t-eth0 type veth", "ip link del other"),
        *("", WARNING, "bridge k6t-eth0 has ports of others: other"),
    ),
    (f"{PORT} locked on", f"{PORT} locked off", "tap0", WARNING, "tap0: locked"),
    (
        *("bridge link set dev {} state 0", "bridge link set dev {} state 3"),
        *("tap0", HARM, "tap0: its bridge port is disabled"),
    ),
    (
        *("bridge link set dev {} state 0", "bridge link set dev {} state 3"),
        *("eth0-nic", HARM, "eth0-nic: its bridge port is disabled"),
    ),
]


@pytest.mark.parametrize("fault", SETTINGS, ids=lambda fault: fault[-1])
def test_a_bridge_port_that_keeps_frames_back(leased, fault):
    change, undo, link, status, text = fault
    with changed(leased, change.format(link), undo.format(link)):
        seen = until_diagnosed(leased, "bridge-port")
        assert text in seen.wrong["bridge-port"]["text"], seen.said
        assert seen.status >= status, seen.said
        until_logged(leased, text)
    until_well(leased)


OWNERS = [
    pytest.param(
        f"ip link set k6t-eth0 address {GUEST}",
        "ip link set k6t-eth0 address 02:00:00:00:10:01",
        "pod-has-mac",
        f"k6t-eth0 has the guest's own MAC {GUEST}",
        id="the bridge has the guest's MAC",
    ),
    pytest.param(
        f"ip link set eth0-nic address {GUEST}",
        "ip link set eth0-nic address 02:00:00:00:10:02",
        "pod-has-mac",
        f"eth0-nic has the guest's own MAC {GUEST}",
        id="the pod NIC has the guest's MAC",
    ),
    pytest.param(
        f"ip link set tap0 address {GUEST}",
        "ip link set tap0 address 02:00:00:00:10:03",
        "pod-has-mac",
        f"tap0 has the guest's own MAC {GUEST}",
        id="the tap has the guest's MAC",
    ),
    pytest.param(
        f"ip link set k6t-eth0 address {GATEWAY}",
        "ip link set k6t-eth0 address 02:00:00:00:10:01",
        "pod-has-mac",
        f"1 {GATEWAY}: the bridge keeps frames for it",
        id="the bridge has the gateway's MAC",
    ),
    pytest.param(
        "ip addr add 10.244.1.5/24 dev k6t-eth0",
        "ip addr del 10.244.1.5/24 dev k6t-eth0",
        "pod-has-address",
        "k6t-eth0 has the guest's address 10.244.1.5",
        id="the bridge has the guest's IPv4 address",
    ),
    pytest.param(
        "ip addr add fd00:10:244:1::5/64 dev k6t-eth0 nodad",
        "ip addr del fd00:10:244:1::5/64 dev k6t-eth0",
        "pod-has-address",
        "k6t-eth0 has the guest's address fd00:10:244:1::5",
        id="the bridge has the guest's IPv6 address",
    ),
]


@pytest.mark.parametrize(("change", "undo", "anchor", "text"), OWNERS)
def test_a_link_of_the_pod_that_has_what_is_the_guests(leased, change, undo, anchor, text):
    with changed(leased, change, undo):
        until_logged(leased, text)  # then what the test before has undone is told no more
        seen = until_diagnosed(leased, anchor)
        # A bridge that was given no MAC takes that of a port: then it has the guest's, too.
        texts = [one["text"] for one in seen.findings if one["anchor"] == anchor]
        assert any(text in one for one in texts), seen.said
        assert seen.status == HARM


def test_a_bridge_that_sends_the_gateways_frames_to_the_guest(leased):
    entry = f"{GATEWAY} dev tap0 master"
    with changed(leased, f"bridge fdb replace {entry} static sticky", f"bridge fdb del {entry}"):
        seen = until_diagnosed(leased, "gateway-at-tap")
        assert seen.status == HARM
        assert f"frames for {GATEWAY}" in seen.wrong["gateway-at-tap"]["text"]
        assert "bridge fdb show br k6t-eth0" in seen.wrong["gateway-at-tap"]["remedy"]
    until_well(leased)


@pytest.mark.parametrize(("mac", "link"), [(GUEST, "tap0"), (GATEWAY, "eth0-nic")])
def test_a_bridge_that_keeps_frames_by_an_entry(leased, mac, link):
    entry = f"{mac} dev {link} master"
    with changed(leased, f"bridge fdb replace {entry} permanent", f"bridge fdb del {entry}"):
        seen = until_diagnosed(leased, "pod-has-mac")
        assert f"the bridge keeps frames for {mac}" in seen.wrong["pod-has-mac"]["text"]
        assert f"bridge fdb del {entry}" in seen.wrong["pod-has-mac"]["remedy"]
        assert seen.status == HARM
    leased.guest.reaches("10.244.1.1")
    until_well(leased)


REWRITES = """table bridge strangers {
  chain c { type filter hook prerouting priority 0;
    ether type 0x88b5 ether saddr set 02:00:00:00:00:07; }
}"""
MAPS = """table bridge strangers {
  chain c { type filter hook forward priority 0; ether type vmap { 0x88b5 : drop }; }
}"""
AT_LINK = """table inet strangers {
  chain c { type filter hook ingress device tap0 priority 0; ether type 0x88b5 drop; }
}"""
LIKE_OURS = """table bridge dsbridge-too {
  chain c { type filter hook forward priority 0; ether type 0x88b5 drop; }
}"""
HARMLESS = """table netdev strangers {
  chain c { type filter hook ingress device lo priority 0; tcp dport 1 drop; }
}
table bridge strangers {
  chain c { type filter hook input priority 0; tcp dport 1 drop; }
}"""
PASSES_BRIDGES = "as bridge-nf-call-iptables is 1"
RULES = [
    pytest.param(REWRITES, "nft delete table bridge strangers", "change frames", "", id="rewrites"),
    pytest.param(MAPS, "nft delete table bridge strangers", "1 rules that drop", "", id="map"),
    pytest.param(
        AT_LINK,
        "nft delete table inet strangers",
        "table inet strangers, chain c at a link: 1 rules that drop",
        "",
        id="inet at a link",
    ),
    pytest.param(
        LIKE_OURS,
        "nft delete table bridge dsbridge-too",
        "table bridge dsbridge-too, chain c: 1 rules that drop",
        "",
        id="named like ours",
    ),
    pytest.param(
        f"ebtables -A FORWARD -s {GUEST} -d 02:00:00:00:00:07 -j DROP",
        "nft delete table bridge filter",
        "table bridge filter, chain FORWARD: 1 rules that drop",
        "",
        id="ebtables",
    ),
    pytest.param(
        "iptables -A FORWARD -s 10.244.1.5 -d 192.0.2.99 -j REJECT",
        "nft delete table ip filter",
        "table ip filter, chain FORWARD: 1 rules that drop",
        PASSES_BRIDGES,
        id="iptables",
    ),
    pytest.param(
        "ip6tables -P FORWARD DROP",
        "nft delete table ip6 filter",
        "table ip6 filter, chain FORWARD: policy drop",
        PASSES_BRIDGES,
        id="ip6tables",
    ),
    pytest.param(
        "iptables-legacy -A FORWARD -s 10.244.1.5 -d 192.0.2.99 -j DROP",
        "iptables-legacy -F",
        "table filter of iptables-legacy: 1 rules or policies that drop",
        None,
        id="iptables-legacy",
    ),
]


@pytest.mark.parametrize(("rules", "undo", "text", "via"), RULES)
def test_rules_of_others(leased, rules, undo, text, via):
    netns = leased.pod.netns
    if via != "" and not netns.run(
        "sh", "-c", "cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null", check=False
    ):
        pytest.skip("this kernel has no br_netfilter")
    words = shlex.split(rules)
    if (
        not rules.startswith("table")
        and netns.run("sh", "-c", f"command -v {words[0]}", check=False) == ""
    ):
        pytest.skip(f"no {words[0]} here")
    if rules.startswith("table"):
        subprocess.run(netns.command("nft", "-f", "-"), input=rules, text=True, check=True)
    else:
        netns.run(*words)
    try:
        seen = until_diagnosed(leased, "foreign-rules")
        assert text in seen.wrong["foreign-rules"]["text"], seen.said
        # Behind that policy no IPv6 frame of the guest leaves.
        assert seen.status == (HARM if "policy" in text else WARNING), seen.said
    finally:
        netns.run(*shlex.split(undo))


def test_rules_of_others_that_no_frame_of_a_guest_passes_are_no_finding(leased):
    netns = leased.pod.netns
    subprocess.run(netns.command("nft", "-f", "-"), input=HARMLESS, text=True, check=True)
    try:
        assert "foreign-rules" not in diagnose(leased).wrong
    finally:
        netns.run("nft", "delete", "table", "bridge", "strangers")
        netns.run("nft", "delete", "table", "netdev", "strangers")


def test_rules_of_others_are_told_in_the_log_with_what_they_do():
    with started("flat", "managed") as vm:
        rules = (
            "table bridge x { chain c { type filter hook forward priority 0; udp dport 9 drop; }; }"
        )
        command = vm.pod.netns.command("nft", "-f", "-")
        subprocess.run(command, input=rules, text=True, check=True)
        until_logged(
            vm, "can drop what guests send or get: table bridge x, chain c: 1 rules that drop"
        )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mode tap user 1000", "it belongs to user 1000, and QEMU, user 107, may not open it"),
        ("mode tap user 107 multi_queue", "it is a multi-queue tap"),
        ("mode tun user 107", "it is a tun device, not a tap"),
    ],
)
def test_a_tap_that_qemu_cannot_open(leased, kind, text):
    """Beside the guest's own, so that one bed is enough: the look judges any tap of its name."""
    pod_ = leased.pod.netns
    pod_.ip("link set tap0 name kept")
    try:
        pod_.ip(f"tuntap add dev tap0 {kind}\nlink set tap0 up")
        seen = until_diagnosed(leased, "no-qemu")
        assert text in seen.wrong["no-qemu"]["text"], seen.said
        assert seen.status == HARM
    finally:
        pod_.ip("link del tap0")
        pod_.ip("link set kept name tap0")
