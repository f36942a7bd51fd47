"""Faults at which all that is dsbridge's looks well: what `diagnose` hears and finds."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import time
from ipaddress import IPv6Address

import pytest

from tests.bed.capture import capture
from tests.bed.clients import client
from tests.bed.diagnosis import diagnose, run, until_diagnosed, until_well
from tests.bed.guest_frames import dhcp4, send
from tests.bed.guests import started, started_in
from tests.bed.lan import machine
from tests.bed.pod import pod
from tests.bed.repeated import again_and_again
from tests.bed.wait import until
from tests.dhcp import v4_wire
from tests.dhcp.v4_wire import ones_complement

OK, WARNING, HARM, NO_SIDECAR = 0, 1, 2, 3
OTHER = "02:00:00:00:00:99"


def found(vm, anchor, *texts, status=WARNING, timeout=20):
    seen = until_diagnosed(vm, anchor, timeout)
    finding = seen.wrong[anchor]
    for text in texts:
        assert text in finding["text"] + finding["evidence"] + finding["remedy"], seen.said
    assert seen.status == status, seen.said
    assert finding["remedy"]
    assert finding["time"]
    return seen


def drops(guest, what):
    rules = f"""
table netdev firewall {{
  chain in {{
    type filter hook ingress device eth0 priority 0;
    {what} drop
  }}
}}"""
    subprocess.run(guest.command("nft", "-f", "-"), input=rules, text=True, check=True)


@pytest.mark.parametrize(
    ("what", "anchor", "text"),
    [
        ("udp dport 68", "no-request", "OFFER without REQUEST"),
        ("udp dport 546", "no-request", "REPLY to SOLICIT again and again"),
        ("meta l4proto icmpv6", "ra-not-taken", "RS again and again, each answered by an RA"),
    ],
)
def test_a_firewall_in_the_guest_that_drops_the_answers(what, anchor, text, tmp_path):
    with started("flat", "managed") as vm:
        drops(vm.guest, what)
        with client("networkd", vm.guest, tmp_path):
            found(vm, anchor, text, "firewall", status=HARM, timeout=60)


@pytest.mark.parametrize("asked", ["10.244.1.254", "10.9.9.9"])
def test_a_static_configuration_with_another_gateway_or_prefix_length(asked):
    with started("flat", "managed") as vm:
        vm.guest.ip("""
            link set eth0 up
            addr add 10.244.1.5/8 dev eth0
            addr add fd00:10:244:1::5/64 dev eth0 nodad""")
        with again_and_again(lambda: vm.guest.reaches(asked)):
            found(vm, "wrong-gateway", f"who has {asked}, and nobody answers", "10.244.1.1")


def test_a_gateway_that_does_not_answer_any_more(well_guest):
    gateway, node = "10.244.1.1", well_guest.pod.gateway
    node.ip(f"addr del {gateway}/24 dev cni0")
    try:
        well_guest.guest.ip("neigh flush all")
        with again_and_again(lambda: well_guest.guest.reaches(gateway)):
            found(well_guest, "gateway-mac", f"gateway {gateway} does not answer", status=HARM)
    finally:
        node.ip(f"addr add {gateway}/24 dev cni0")
    assert until(lambda: well_guest.guest.reaches(gateway), "it answers again")
    until_well(well_guest)


def test_a_guest_that_tags_its_frames():
    with started("flat", "managed") as vm:
        vm.guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)
        vm.guest.ip("link set eth0 up")
        plain = dhcp4(vm, v4_wire.DISCOVER)
        tagged = plain[:12] + struct.pack("!HH", 0x8100, 5) + plain[12:]
        with again_and_again(lambda: send(vm, tagged)):
            found(vm, "vlan", "VLAN tag 5", status=HARM)


def test_another_machine_with_the_guests_mac(well_guest):
    with machine(well_guest.pod, 8, addressed=False) as other:
        other.ip(f"link set eth0 address {well_guest.pod.layout.mac} up")
        own = v4_wire.mac(well_guest.pod.layout.mac)
        asks = (
            struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + bytes(4) + bytes(6) + b"\x0a\xf4\1M"
        )
        frame = b"\xff" * 6 + own + b"\x08\x06" + asks + bytes(18)
        with capture(other, "eth0") as nic, again_and_again(lambda: nic.send(frame)):
            seen = found(
                well_guest, "duplicate-mac", well_guest.pod.layout.mac, "eth0-nic", status=HARM
            )
            assert "frames from it came in" in seen.wrong["duplicate-mac"]["evidence"]
    well_guest.guest.reaches("10.244.1.1")
    until_well(well_guest)


def test_a_bridge_that_sends_to_the_guests_mac_elsewhere(well_guest):
    entry = (well_guest.pod.layout.mac, "dev", "eth0-nic", "master")
    well_guest.pod.netns.run("bridge", "fdb", "replace", *entry, "static", "sticky")
    try:
        found(
            well_guest, "duplicate-mac", "the bridge sends frames", "out by eth0-nic", status=HARM
        )
    finally:
        well_guest.pod.netns.run("bridge", "fdb", "del", *entry)
    well_guest.guest.reaches("10.244.1.1")
    until_well(well_guest)


@pytest.mark.parametrize(
    ("words", "text", "status"),
    [
        (("clsact",), "tap0 has filters of clsact for what comes in", HARM),
        (
            ("root", "tbf", "rate", "800kbit", "burst", "1600", "limit", "3000"),
            "tap0 has queueing discipline tbf",
            WARNING,
        ),
    ],
)
def test_traffic_control_of_others(well_guest, words, text, status):
    well_guest.pod.netns.run("tc", "qdisc", "add", "dev", "tap0", *words)
    try:
        if words == ("clsact",):
            assert diagnose(well_guest).status == OK  # without filters it holds nothing back
            drop = ("bpf", "da", "bytecode", "1,6 0 0 2")
            well_guest.pod.netns.run("tc", "filter", "add", "dev", "tap0", "ingress", *drop)
        found(well_guest, "traffic-control", text, "tc qdisc show dev tap0", status=status)
    finally:
        well_guest.pod.netns.run("tc", "qdisc", "del", "dev", "tap0", words[0])
    until_well(well_guest)


def test_iptables_that_frames_of_a_bridge_pass(well_guest):
    switch = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    if not well_guest.pod.netns.run("sh", "-c", f"cat {switch} 2>/dev/null", check=False):
        pytest.skip("this kernel has no br_netfilter")
    rules = (
        "table ip strangers {\n chain c {\n type filter hook forward priority 0; policy drop;\n}\n}"
    )
    command = well_guest.pod.netns.command("nft", "-f", "-")
    subprocess.run(command, input=rules, text=True, check=True)
    try:
        found(
            well_guest,
            "foreign-rules",
            "table ip strangers, chain c: policy drop",
            "bridge-nf-call",
            status=HARM,  # no IPv4 of the guest passes
        )
    finally:
        well_guest.pod.netns.run("nft", "delete", "table", "ip", "strangers")
    until_well(well_guest)


def test_a_table_of_others_is_named_in_the_log(well_guest):
    rules = "table bridge others {\n chain c {\n type filter hook forward priority 0;\n}\n}"
    command = well_guest.pod.netns.command("nft", "-f", "-")
    subprocess.run(command, input=rules, text=True, check=True)
    try:
        text = "another program has made rules in table bridge others of nf_tables"
        until(lambda: text in well_guest.sidecar.log, "the log names it")
    finally:
        well_guest.pod.netns.run("nft", "delete", "table", "bridge", "others")
    assert well_guest.sidecar.log.count(text) == 1


def test_a_dns_server_that_does_not_answer(well_guest):
    server = "10.96.0.10"
    words = ("busybox", "nslookup", "-type=a", "name.example", server)
    queries = [well_guest.guest.popen(*words, stdout=subprocess.DEVNULL) for _ in range(1)]
    with again_and_again(
        lambda: queries.append(well_guest.guest.popen(*words, stdout=subprocess.DEVNULL))
    ):
        found(well_guest, "dns-silent", f"DNS server {server} has answered none of")
    for one in queries:
        one.kill()
        one.wait()
    until_well(well_guest)


def test_another_host_with_the_guests_ipv6_address(well_guest):
    address = well_guest.pod.layout.ipv6[0].ip
    with (
        machine(well_guest.pod, 9) as other,
        capture(other, "eth0") as nic,
        again_and_again(lambda: nic.send(advertisement(address, OTHER))),
    ):
        found(well_guest, "duplicate-address", f"{address}: {OTHER}", status=HARM)
        line = f"another host has the guest's address {address}"
        until(lambda: line in well_guest.sidecar.log, "its line")


def advertisement(address, mac):
    """Return a neighbour advertisement to all nodes: this address is at this MAC."""
    own = v4_wire.mac(mac)
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + address.packed + b"\x02\x01" + own
    group = IPv6Address("ff02::1")
    ends = address.packed + group.packed
    total = 0xFFFF - ones_complement(ends + struct.pack("!II", len(body), 58) + body) or 0xFFFF
    body = body[:2] + struct.pack("!H", total) + body[4:]
    head = struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + ends
    return bytes.fromhex("333300000001") + own + b"\x86\xdd" + head + body


def test_the_socket_that_kubevirt_calls_is_gone():
    with started("flat", "managed") as vm:
        for path in vm.sidecar.hooks_dir.glob("*.sock"):
            path.unlink()
        assert "hook-socket" in until_diagnosed(vm, "hook-socket").wrong


def test_a_sidecar_that_cannot_answer_is_told_why(tmp_path):
    with started("flat", "managed") as vm:
        pid = vm.sidecar.status()["processes"][0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            stopped = run(vm.pod.netns, vm.sidecar.hooks_dir, "diagnose")
            # While it is stopped: else it would make them again.
            (vm.sidecar.hooks_dir / "state").rename(tmp_path / "state")
            emptied = run(vm.pod.netns, vm.sidecar.hooks_dir, "diagnose")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert stopped.returncode == emptied.returncode == NO_SIDECAR
        assert "it is stopped, or the node is overloaded" in stopped.stderr
        assert "its directory was emptied" in emptied.stderr


def test_a_busy_guest_hides_nothing():
    """Bulk traffic fills what is read of it at once; messages have sockets of their own."""
    with pod("flat") as made, machine(made, 66) as other, started_in(made) as vm:
        vm.guest.ip("link set eth0 up\naddr add 10.244.1.5/24 dev eth0")
        flood = vm.guest.popen("ping", "-q", "-f", "10.244.1.66", stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)  # the flood is under way
            with (
                capture(other, "eth0") as nic,
                again_and_again(lambda: nic.send(advertisement(made.layout.ipv6[0].ip, OTHER))),
            ):
                found(vm, "duplicate-address", OTHER, status=HARM)
        finally:
            flood.terminate()
            flood.wait()
