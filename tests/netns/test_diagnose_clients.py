"""Clients in the guest that do what few do: what `diagnose` says of each, and the log.

Faults of DHCPv4 and of IPv6 that do not touch each other share a bed.
"""

from __future__ import annotations

import struct
import subprocess
from ipaddress import IPv6Address

from tests.bed.clients import client
from tests.bed.diagnosis import (
    WARNING,
    booted,
    harmed,
    udhcpc,
    until_diagnosed,
    until_logged,
)
from tests.bed.guest_frames import address4, dhcp4, dhcp6, gateway4, send
from tests.bed.guests import started, started_in
from tests.bed.lan import machine
from tests.bed.pod import pod
from tests.bed.repeated import again_and_again
from tests.dhcp import v4_wire, v6_wire
from tests.netns.test_diagnose_vain import advertisement

PXE = (60, b"PXEClient:Arch:00007:UNDI:003016"), (93, b"\0\x07"), (55, bytes([1, 3, 66, 67]))
PREFIX_ONLY = v6_wire.option(25, struct.pack("!III", 1, 0, 0))


def test_firmware_that_boots_from_the_network_and_a_client_that_asks_for_a_prefix_only():
    with booted(speaks_ipv6=False) as vm:
        send(vm, dhcp4(vm, v4_wire.DISCOVER, *PXE), dhcp6(vm, v6_wire.SOLICIT, PREFIX_ONLY))
        seen = harmed(vm, "no-boot-file", "OFFER without REQUEST", "a PXE client takes none")
        assert "`boot`" in seen.wrong["no-boot-file"]["remedy"]
        harmed(vm, "no-dhcp6-client", "asks DHCPv6 for no address", "fd00:10:244:1::5")
        until_logged(vm, "OFFER to DISCOVER: 10.244.1.5; its PXE client takes none without a boot")
        until_logged(vm, "ADVERTISE to SOLICIT: no address")


def test_a_lease_that_runs_out_and_a_client_that_asks_for_options_only():
    with booted(speaks_ipv6=False, lease=20) as vm:
        udhcpc(vm)
        send(vm, dhcp6(vm, 11, v6_wire.option(6, b"\0\x17")))
        harmed(vm, "no-dhcp6-client", "asks DHCPv6 for options only")
        until_logged(vm, "REPLY to INFORMATION-REQUEST: options only")
        seen = until_diagnosed(vm, "expired", 60)
        assert "the lease of 10.244.1.5 ran out" in seen.wrong["expired"]["text"]
        until_logged(vm, "the lease of 10.244.1.5 ran out and was not renewed")
        udhcpc(vm)
        until_logged(vm, "resolved: the lease of 10.244.1.5 ran out")


def test_an_address_that_is_declined_each_time_and_one_of_another_link():
    with booted(speaks_ipv6=False) as vm:
        for _ in range(3):
            server = (54, gateway4(vm).packed)
            send(
                vm,
                dhcp4(vm, v4_wire.REQUEST, (50, address4(vm)), server),
                dhcp4(vm, v4_wire.DECLINE, (50, address4(vm)), server),
            )
        send(vm, dhcp6(vm, 4, v6_wire.ia_na(1, IPv6Address("fd99::5"))))
        harmed(vm, "declined", "the guest has declined 10.244.1.5")
        harmed(vm, "refused-address", "NotOnLink: fd99::5", "fd00:10:244:1::5")
        until_logged(vm, "silence to DECLINE: 10.244.1.5 is in use elsewhere")
        until_logged(vm, "REPLY to CONFIRM: NotOnLink: fd99::5")


def test_a_request_whose_checksum_is_wrong_and_a_router_that_insists_on_a_prefix():
    with booted(speaks_ipv6=False) as vm:
        frame = dhcp4(vm, v4_wire.DISCOVER)
        send(vm, dhcp6(vm, v6_wire.SOLICIT, v6_wire.ia_na(1), PREFIX_ONLY))
        send(vm, frame[:40] + b"\x12\x34" + frame[42:])
        harmed(vm, "malformed", "its lengths or its checksum are wrong")
        seen = harmed(vm, "no-prefix", "insists on a prefix (IA_PD)", "fd00:10:244:1::5")
        assert "`delegate`" in seen.wrong["no-prefix"]["remedy"]
        until_logged(vm, "silence to malformed: its lengths or its checksum are wrong")
        until_logged(vm, "fd00:10:244:1::5, lease infinite, no prefix for 1 of 1 IA_PD")


def test_a_guest_that_forwards_and_so_takes_no_router():
    with started("flat", "managed") as vm:
        vm.guest.sysctl(ipv6__conf__eth0__forwarding=1)
        vm.guest.ip("link set eth0 up")
        udhcpc(vm)
        seen = harmed(vm, "no-rs", "neither RS nor DHCPv6, but frames from fe80::")
        assert "forwarding" in seen.wrong["no-rs"]["remedy"]


def test_a_guest_with_its_gateways_address():
    with booted(speaks_ipv6=False) as vm:
        vm.guest.ip("addr add 10.244.1.1/24 dev eth0")
        with again_and_again(lambda: vm.guest.reaches("10.244.1.9")):
            harmed(vm, "static-address", "uses 10.244.1.1, the address of its gateway")


def test_a_guest_that_falls_silent_and_one_that_acts_as_a_router(tmp_path):
    with (
        started("flat", "managed") as vm,
        client("networkd", vm.guest, tmp_path) as guest,
    ):
        guest.lease(30)
        send(vm, router_advertisement(vm.pod.layout.mac))
        found = until_diagnosed(vm, "guest-server").wrong["guest-server"]
        assert "its router advertisements stop here" in found["text"]
        # The sidecar looks at what was dropped when others change nf_tables, and now and then.
        rules = "table bridge x { chain c { type filter hook forward priority 0; }; }"
        command = vm.pod.netns.command("nft", "-f", "-")
        subprocess.run(command, input=rules, text=True, check=True)
        until_logged(vm, "the guest acts as a server or router: its router advertisements stop")
        vm.guest.ip("link set eth0 down")
        seen = until_diagnosed(vm, "silent-guest")
        assert "does not answer for" in seen.wrong["silent-guest"]["text"]
        assert "NIC up" in seen.wrong["silent-guest"]["remedy"]
        assert seen.status == WARNING


def router_advertisement(mac):
    """Return an RA of a router of this MAC, with no option."""
    frame = bytearray(advertisement(IPv6Address("fe80::858:aff:fef4:105"), mac))
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    frame[18:20] = struct.pack("!H", len(body))
    ends = bytes(frame[22:54])
    total = 0xFFFF - v4_wire.ones_complement(ends + struct.pack("!II", len(body), 58) + body)
    return bytes(frame[:54]) + body[:2] + struct.pack("!H", total or 0xFFFF) + body[4:]


def test_an_address_that_another_host_defends(tmp_path):
    with pod("flat") as made, machine(made, 66) as other, started_in(made) as vm:
        other.ip("addr add fd00:10:244:1::5/64 dev eth0 nodad")
        with client("networkd", vm.guest, tmp_path):
            seen = harmed(vm, "duplicate-address", "another host has the guest's address fd00:")
            mac = other.query("link", "show", "dev", "eth0")[0]["address"]
            assert mac in seen.wrong["duplicate-address"]["text"]
            until_logged(vm, f"another host has the guest's address fd00:10:244:1::5: {mac}")
