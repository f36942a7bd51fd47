"""Whether frames come through between a guest and its network, as `diagnose` measures it."""

from __future__ import annotations

import subprocess

from tests.bed.diagnosis import HARM, WARNING, until_diagnosed, until_logged, until_well
from tests.bed.lan import machine
from tests.bed.repeated import again_and_again

GUEST, GATEWAY = "0a:58:0a:f4:01:05", "0a:58:0a:f4:01:01"


def test_frames_that_the_pod_keeps_for_whatever_reason(well_guest):
    """No finding has a name for a queue without room; the guest itself sends nothing meanwhile."""
    queue = "dev", "eth0-nic", "root", "pfifo", "limit", "0"
    well_guest.pod.netns.run("tc", "qdisc", "add", *queue)
    try:
        seen = until_diagnosed(well_guest, "held-inside")
        text = "what the guest sends comes in by tap0 and does not leave by eth0-nic"
        assert text in seen.wrong["held-inside"]["text"], seen.said
        assert "ARP replies" in seen.wrong["held-inside"]["evidence"]
        assert "tc -s qdisc" in seen.wrong["held-inside"]["remedy"]
        assert seen.status == HARM, seen.said
    finally:
        well_guest.pod.netns.run("tc", "qdisc", "del", *queue)
    until_well(well_guest)


def test_a_node_that_drops_what_the_guest_sends(well_guest):
    """The guest itself sends nothing: its gateways are asked in its name."""
    node = well_guest.pod.gateway
    rules = f"""table netdev cni {{
      chain c {{
        type filter hook ingress device pod0 priority 0; ether saddr {GUEST} drop;
      }}
    }}"""
    subprocess.run(node.command("nft", "-f", "-"), input=rules, text=True, check=True)
    try:
        seen = until_diagnosed(well_guest, "gateway-mac")
        texts = [one["text"] for one in seen.findings if one["anchor"] == "gateway-mac"]
        assert [text.split()[1] for text in texts] == ["10.244.1.1", "fd00:10:244:1::1"], seen.said
        assert seen.status == HARM
    finally:
        node.run("nft", "delete", "table", "netdev", "cni")
    until_well(well_guest)


def test_a_guest_whose_firewall_drops_arp(well_guest):
    rules = """table netdev firewall {
      chain in { type filter hook ingress device eth0 priority 0; ether type arp drop; }
    }"""
    subprocess.run(well_guest.guest.command("nft", "-f", "-"), input=rules, text=True, check=True)
    try:
        with again_and_again(lambda: well_guest.guest.reaches("10.244.1.9")):
            seen = until_diagnosed(well_guest, "deaf-guest")
        assert "uses 10.244.1.5/24, and answers no ARP" in seen.wrong["deaf-guest"]["text"]
        assert "firewall" in seen.wrong["deaf-guest"]["remedy"]
        assert seen.status == HARM
    finally:
        well_guest.guest.run("nft", "delete", "table", "netdev", "firewall")
    until_well(well_guest)


def test_a_tap_that_keeps_no_frame_for_qemu(well_guest):
    well_guest.pod.netns.ip("link set tap0 txqueuelen 0")
    try:
        seen = until_diagnosed(well_guest, "bridge-port")
        text = "tap0: no frame to the guest finds room (txqueuelen 0)"
        assert text in seen.wrong["bridge-port"]["text"]
        assert seen.status == HARM, seen.said
        until_logged(well_guest, text)
    finally:
        well_guest.pod.netns.ip("link set tap0 txqueuelen 1000")
    until_well(well_guest)


def test_another_gateway_mac_is_told_as_a_move(well_guest):
    with again_and_again(lambda: well_guest.guest.reaches("10.244.1.1")):
        well_guest.pod.gateway.ip("link set cni0 address 0a:58:0a:f4:01:77")
        well_guest.guest.ip("neigh flush all")
        seen = until_diagnosed(well_guest, "gateway-moved")
    assert seen.status == WARNING, seen.said
    until_logged(well_guest, f"gateway 10.244.1.1 has moved from {GATEWAY} to 0a:58:0a:f4:01:77")


def test_another_host_with_the_guests_addresses_that_is_silent_until_it_is_asked(well_guest):
    with machine(well_guest.pod, 9) as other:
        other.ip("addr add 10.244.1.5/24 dev eth0\naddr add fd00:10:244:1::5/64 dev eth0 nodad")
        mac = other.query("link", "show", "dev", "eth0")[0]["address"]
        seen = until_diagnosed(well_guest, "duplicate-address")
        texts = [one["text"] for one in seen.findings if one["anchor"] == "duplicate-address"]
        assert any(f"10.244.1.5: {mac}" in text for text in texts), seen.said
        assert any(f"fd00:10:244:1::5: {mac}" in text for text in texts), seen.said
        assert seen.status == HARM
