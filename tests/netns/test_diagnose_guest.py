"""Faults of the guest and of its network: what `diagnose` says of each, and the log."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed.capture import capture
from tests.bed.clients import client
from tests.bed.diagnosis import diagnose, until_diagnosed, until_well
from tests.bed.dnsmasq import dnsmasq
from tests.bed.guest_frames import address4, dhcp4, dhcp6, gateway4, send
from tests.bed.guests import started, started_in
from tests.bed.lan import machine
from tests.bed.pod import pod
from tests.bed.processes import family
from tests.bed.wait import until
from tests.dhcp import v4_wire, v6_wire

pytestmark = pytest.mark.netns
WARNING, HARM = 1, 2
OTHER = "02:00:00:00:00:99"


@contextmanager
def booted(*, speaks_ipv6=True, **settings):
    """A guest whose NIC is up and whose client is yet to come."""
    annotations = {"dsbridge.io/default": settings} if settings else None
    with started("flat", "managed", annotations) as vm:
        vm.guest.sysctl(ipv6__conf__eth0__disable_ipv6=int(not speaks_ipv6))
        vm.guest.ip("link set eth0 up")
        yield vm


def udhcpc(vm):
    words = "udhcpc -f -n -q -t 4 -T 1 -i eth0 -s /bin/true"
    done = vm.guest.run("sh", "-c", f"busybox {words} 2>&1", check=False)
    assert "obtained" in done


def harmed(vm, anchor, *texts, status=HARM):
    seen = until_diagnosed(vm, anchor)
    finding = seen.wrong[anchor]
    for text in texts:
        assert text in finding["text"], seen.said
    assert seen.status == status, seen.said
    assert finding["remedy"]
    assert finding["time"]
    return seen


def logged(vm, text):
    until(lambda: text in vm.sidecar.log, f"the log tells {text!r}")


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
        logged(vm, "RA to RS")


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


def test_slaac_without_an_rs():
    with booted(speaks_ipv6=False, ipv6="slaac") as vm:
        udhcpc(vm)
        harmed(vm, "no-rs", "no RS: the guest does not ask for a router")


def test_another_mac():
    with booted() as vm:
        vm.guest.ip(f"link set eth0 down\nlink set eth0 address {OTHER} up")
        send(vm, dhcp4(vm, v4_wire.DISCOVER, sender=OTHER))
        harmed(vm, "other-mac", OTHER)
        logged(vm, f"silence to DISCOVER: from another MAC, {OTHER}")


def test_a_request_that_is_malformed():
    with booted(speaks_ipv6=False) as vm:
        send(vm, dhcp4(vm, v4_wire.REQUEST, (50, bytes(3))))
        harmed(vm, "malformed", "DHCPv4 REQUEST: ", "(50) of 3 octets", "so it lacks 10.244.1.5")
        logged(vm, "silence to malformed: DHCPv4 REQUEST: ")


@pytest.mark.parametrize(
    ("frame", "text", "log"),
    [
        pytest.param(
            lambda vm: dhcp4(vm, v4_wire.DISCOVER),
            "OFFER without REQUEST",
            "OFFER to DISCOVER",
            id="DHCPv4",
        ),
        pytest.param(
            lambda vm: dhcp6(vm, v6_wire.SOLICIT, v6_wire.ia_na(1)),
            "ADVERTISE without DHCPv6 REQUEST",
            "ADVERTISE to SOLICIT",
            id="DHCPv6",
        ),
    ],
)
def test_an_offer_that_is_not_taken(frame, text, log):
    with booted(speaks_ipv6=False) as vm:
        send(vm, frame(vm))
        harmed(vm, "no-request", text)
        logged(vm, log)


def test_an_address_that_is_refused():
    with booted() as vm:
        send(vm, dhcp4(vm, v4_wire.REQUEST, (50, bytes([10, 244, 9, 9]))))
        harmed(vm, "refused-address", "NAK", "10.244.9.9")
        logged(vm, "NAK to REQUEST")


@pytest.mark.parametrize(
    ("options", "fields", "why"),
    [
        pytest.param(
            lambda vm: [(50, address4(vm)), (54, bytes([10, 244, 1, 66]))],
            {},
            "for another server",
            id="another server",
        ),
        pytest.param(
            lambda vm: [(50, address4(vm))],
            {"giaddr": v4_wire.SERVER},
            "relayed by",
            id="relayed",
        ),
        pytest.param(
            lambda vm: [(50, address4(vm))],
            {"chaddr": v4_wire.mac(OTHER)},
            "for another MAC",
            id="chaddr",
        ),
    ],
)
def test_requests_that_get_silence(options, fields, why):
    with booted() as vm:
        send(vm, dhcp4(vm, v4_wire.REQUEST, *options(vm), **fields))
        anchor = "other-mac" if "MAC" in why else "silence"
        harmed(vm, anchor, f"its REQUEST gets no answer ({why}")
        logged(vm, f"silence to REQUEST: {why}")


def test_an_address_that_was_released():
    with booted() as vm:
        udhcpc(vm)
        server = (54, gateway4(vm).packed)
        send(vm, dhcp4(vm, v4_wire.RELEASE, server, ciaddr=vm.pod.layout.ipv4[0].ip))
        harmed(vm, "released", "the guest has released 10.244.1.5")
        logged(vm, "silence to RELEASE: 10.244.1.5")


def test_an_address_that_was_declined():
    with booted() as vm:
        udhcpc(vm)
        options = (50, address4(vm)), (54, gateway4(vm).packed)
        send(vm, dhcp4(vm, v4_wire.DECLINE, *options))
        harmed(vm, "declined", "the guest has declined 10.244.1.5")
        logged(vm, "in use elsewhere")


def test_a_guest_that_is_yet_to_arrive_is_waited_for():
    with pod("flat") as made, started_in(made, arriving=True) as vm:
        seen = diagnose(vm)
        assert seen.status == 0, seen.said
        assert "the guest still runs on its other node" in seen.well


@pytest.mark.parametrize("request_", ["v4", "v6"])
def test_nobody_serves_where_ovn_should(request_):
    with booted(speaks_ipv6=False, provider="kube-ovn") as vm:
        frames = {
            "v4": dhcp4(vm, v4_wire.DISCOVER),
            "v6": dhcp6(vm, v6_wire.SOLICIT, v6_wire.ia_na(1)),
        }
        send(vm, frames[request_])
        harmed(vm, "kube-ovn", "enableDHCP")
        logged(vm, "enableDHCP")


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
            logged(vm, "rogue RA from")


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
        logged(vm, text)


def test_a_gateway_that_does_not_answer():
    with pod("flat") as made:
        made.gateway.ip("addr del fd00:10:244:1::1/64 dev cni0\naddr flush dev cni0")
        with started_in(made) as vm:
            vm.guest.ip("link set eth0 up")
            udhcpc(vm)
            seen = harmed(vm, "gateway-mac", "is not known")
            assert "does the CNI let" in seen.wrong["gateway-mac"]["remedy"]
