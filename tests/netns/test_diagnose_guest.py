"""A guest that lacks its addresses by its own fault: what `diagnose` says, and the log."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.bed.clients import client
from tests.bed.diagnosis import (
    WARNING,
    booted,
    diagnose,
    harmed,
    udhcpc,
    until_logged,
    until_well,
)
from tests.bed.guest_frames import dhcp4, dhcp6, send
from tests.bed.guests import started, started_in
from tests.bed.pod import pod
from tests.bed.processes import family
from tests.bed.wait import until
from tests.dhcp import v4_wire, v6_wire


def test_a_nic_that_is_down_in_the_guest():
    with started("flat", "managed") as vm:
        harmed(vm, "no-frame", "no frame at all has come in by tap0")


def test_no_qemu_at_the_tap():
    with started("flat", "managed") as vm:
        mine = [pid for pid in family(os.getpid()) if b"forwarder" in _command(pid)]
        (shuttle,) = [pid for pid in mine if vm.pod.netns.name.encode() in _command(pid)]
        os.kill(shuttle, signal.SIGTERM)
        harmed(vm, "no-qemu", "no process reads tap0", "user 107")


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_static_address_that_is_not_the_guests():
    with booted(speaks_ipv6=False) as vm:
        vm.guest.ip("addr add 10.244.1.7/24 dev eth0")
        ping = vm.guest.popen("busybox", "ping", "10.244.1.1", stdout=subprocess.DEVNULL)
        try:
            seen = harmed(vm, "static-address", "the guest uses 10.244.1.7")
            assert "neither DHCP nor RS, but frames from 10.244.1.7" in seen.said
        finally:
            ping.terminate()
            ping.wait()


def test_a_guest_with_its_own_addresses_by_hand_is_well():
    with booted() as vm:
        vm.guest.ip("addr add 10.244.1.5/24 dev eth0\naddr add fd00:10:244:1::5/64 dev eth0 nodad")
        seen = until_well(vm)
        assert "by its own configuration: it answers for it" in seen.well


def test_a_guest_that_asks_nothing():
    with booted(speaks_ipv6=False) as vm:
        words = "arping -c 1 -w 1 -I eth0 10.244.1.1"
        vm.guest.run("busybox", *words.split(), check=False)
        harmed(vm, "never-asked", "the guest has never asked by DHCP")


def test_a_guest_without_a_dhcpv6_client():
    with booted() as vm:
        udhcpc(vm)
        until(lambda: "RS" in vm.sidecar.status()["guests"][0]["asked"], "an RS")
        seen = harmed(vm, "no-dhcp6-client", "RS, but no SOLICIT", "fd00:10:244:1::5")
        assert "the guest has been given 10.244.1.5/24 by DHCPv4" in seen.well
        until_logged(vm, "RA to RS")


def test_a_guest_without_ipv6():
    with booted(speaks_ipv6=False) as vm:
        udhcpc(vm)
        harmed(vm, "no-ipv6-in-guest", "never asked by DHCPv6, though it has by IPv4")


def test_a_guest_without_a_dhcpv4_client(tmp_path):
    with booted() as vm, client("dhclient", vm.guest, tmp_path, families=(6,)) as guest:
        guest.lease(30)
        harmed(vm, "no-dhcp4-client", "never asked by DHCPv4, though it has by IPv6")


def test_a_guest_that_accepts_no_router():
    with booted() as vm:
        vm.guest.sysctl(ipv6__conf__eth0__accept_ra=0, ipv6__conf__eth0__router_solicitations=0)
        vm.guest.ip("link set eth0 down\nlink set eth0 up")
        send(
            vm,
            dhcp4(vm, v4_wire.DISCOVER, (80, b"")),
            dhcp6(vm, v6_wire.SOLICIT, v6_wire.ia_na(1), v6_wire.option(14)),
        )
        until(lambda: "SOLICIT" in vm.sidecar.status()["guests"][0]["asked"], "a SOLICIT")
        asked = vm.sidecar.status()["guests"][0]["asked"]
        if "RS" not in asked:  # the kernel sends one before its setting is read
            harmed(vm, "no-rs", "DHCPv6, but no RS", status=WARNING)


def test_a_guest_that_has_a_router_though_it_sent_no_rs():
    """As networkd, which sends none where our RA comes before it."""
    with booted() as vm:
        vm.guest.sysctl(ipv6__conf__eth0__accept_ra=0, ipv6__conf__eth0__router_solicitations=0)
        vm.guest.ip("""
            link set eth0 down
            link set eth0 up
            route add default via fe80::858:aff:fef4:101 dev eth0""")
        send(vm, dhcp6(vm, v6_wire.SOLICIT, v6_wire.ia_na(1), v6_wire.option(14)))
        until(lambda: "SOLICIT" in vm.sidecar.status()["guests"][0]["asked"], "a SOLICIT")
        assert "no-rs" not in diagnose(vm).wrong


def test_slaac_without_an_rs():
    with booted(speaks_ipv6=False, ipv6="slaac") as vm:
        udhcpc(vm)
        harmed(vm, "no-rs", "no RS: the guest does not ask for a router")


def test_a_guest_that_is_yet_to_arrive_is_waited_for():
    with pod("flat") as made, started_in(made, arriving=True) as vm:
        seen = diagnose(vm)
        assert seen.status == 0, seen.said
        assert "the guest still runs on its other node" in seen.well
