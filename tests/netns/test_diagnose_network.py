"""Faults of the network beside a guest: what `diagnose` says of each, and the log."""

from __future__ import annotations

import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.bed.capture import capture
from tests.bed.clients import client
from tests.bed.diagnosis import (
    HARM,
    WARNING,
    booted,
    diagnose,
    harmed,
    udhcpc,
    until_diagnosed,
    until_logged,
)
from tests.bed.dnsmasq import dnsmasq
from tests.bed.guest_frames import dhcp4, dhcp6, send
from tests.bed.guests import started_in
from tests.bed.lan import machine
from tests.bed.pod import pod
from tests.bed.wait import until
from tests.dhcp import v4_wire, v6_wire

OTHER = "02:00:00:00:00:99"


@pytest.mark.parametrize("request_", ["v4", "v6"])
def test_nobody_serves_where_ovn_should(request_):
    with booted(speaks_ipv6=False, provider="kube-ovn") as vm:
        frames = {
            "v4": dhcp4(vm, v4_wire.DISCOVER),
            "v6": dhcp6(vm, v6_wire.SOLICIT, v6_wire.ia_na(1)),
        }
        send(vm, frames[request_])
        harmed(vm, "kube-ovn", "enableDHCP")
        until_logged(vm, "enableDHCP")


RANGES = (
    "--dhcp-range=10.244.1.100,10.244.1.200,1h",
    "--dhcp-range=fd00:10:244:1::100,fd00:10:244:1::200,64,1h",
    "--enable-ra",
    "--ra-param=eth0,high,4,1800",
)


def test_a_rogue_router_beside_a_guard(tmp_path):
    with pod("flat") as made, machine(made, 66) as rogue:
        mac = rogue.query("link", "show", "dev", "eth0")[0]["address"]
        with (
            dnsmasq(rogue, "eth0", tmp_path / "rogue", *RANGES),
            started_in(made) as vm,
            client("networkd", vm.guest, tmp_path / "guest") as guest,
        ):
            guest.lease(30)
            seen = until_diagnosed(vm, "rogue")
            assert seen.status == WARNING
            assert "rogue" in seen.wrong["rogue"]["text"]
            until(lambda: mac in until_diagnosed(vm, "rogue").said, "its MAC", 20)
            until_logged(vm, "rogue RA from")


def test_a_rogue_router_without_a_guard(tmp_path):
    without = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    with (
        pod("flat") as made,
        machine(made, 66) as rogue,
        dnsmasq(rogue, "eth0", tmp_path / "rogue", *RANGES),
        started_in(made, prefix=without) as vm,
    ):
        vm.guest.ip("link set eth0 up")
        seen = until_diagnosed(vm, "rogue-unguarded", prefix=without)
        assert seen.status == HARM
        assert "deploy/policy" in seen.wrong["rogue-unguarded"]["remedy"]


def test_the_guests_own_server_is_stopped_and_named(tmp_path):
    with pod("flat") as made, machine(made, 77, addressed=False) as victim, started_in(made) as vm:
        vm.guest.ip("""
            link set eth0 up
            addr add 10.244.1.5/24 dev eth0
            addr add fd00:10:244:1::5/64 dev eth0 nodad""")
        with (
            dnsmasq(vm.guest, "eth0", tmp_path / "inside", *RANGES),
            client("udhcpc", victim, tmp_path / "victim"),
        ):
            seen = until_diagnosed(vm, "guest-server", 40)
            assert seen.wrong["guest-server"]["severity"] == "warning"
            assert "stop here" in seen.wrong["guest-server"]["text"]
            assert '"shield": false' in seen.wrong["guest-server"]["remedy"]


def claim(space, address, mac, target="ff:ff:ff:ff:ff:ff"):
    """Say once, as an ARP reply to all, that a MAC has an address."""
    octets = bytes(int(one) for one in str(address).split("."))
    sender, receiver = v4_wire.mac(mac), v4_wire.mac(target)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + sender + octets + receiver + octets
    with capture(space, "eth0") as nic:
        nic.send(receiver + sender + b"\x08\x06" + body)


@pytest.mark.parametrize(
    ("address", "anchor", "text", "severity"),
    [
        ("10.244.1.5", "duplicate-address", "another host has the guest's address", "harm"),
        ("10.244.1.1", "gateway-moved", "10.244.1.1", "warning"),
    ],
)
def test_another_machine_that_claims_an_address(address, anchor, text, severity, tmp_path):
    with (
        pod("flat") as made,
        machine(made, 88) as other,
        started_in(made) as vm,
        client("networkd", vm.guest, tmp_path) as guest,
    ):
        guest.lease(30)

        def seen():
            with ThreadPoolExecutor(1) as beside:  # the claims come while diagnose listens
                diagnosed = beside.submit(diagnose, vm)
                while not diagnosed.done():
                    claim(other, address, OTHER)
                    time.sleep(0.2)
            return diagnosed.result() if anchor in diagnosed.result().wrong else None

        said = until(seen, f"{anchor} is named", 30)
        assert text in said.wrong[anchor]["text"]
        assert OTHER in said.wrong[anchor]["text"]
        assert said.wrong[anchor]["severity"] == severity
        until_logged(vm, text)


def test_a_gateway_that_does_not_answer():
    with pod("flat") as made:
        made.gateway.ip("addr del fd00:10:244:1::1/64 dev cni0\naddr flush dev cni0")
        with started_in(made) as vm:
            vm.guest.ip("link set eth0 up")
            udhcpc(vm)
            seen = harmed(vm, "gateway-mac", "is not known")
            assert "does the CNI let" in seen.wrong["gateway-mac"]["remedy"]
