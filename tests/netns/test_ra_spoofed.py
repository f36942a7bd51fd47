"""A neighbour on the pod's link that claims to be the gateway."""

from __future__ import annotations

import struct
import time
from ipaddress import IPv6Address

from scapy.layers.inet6 import (
    ICMPv6ND_NS,
    ICMPv6ND_Redirect,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether

from guest.ethernet import checksum, mac_bytes
from guest.network import OUR_LINK_LOCAL
from tests.bed.capture import ARP, NA, capture, kind
from tests.bed.guests import started, started_in
from tests.bed.kernel_guest import addressed, default_routers, lladdrs
from tests.bed.lan import machine
from tests.bed.netns import Netns
from tests.bed.packet_sockets import carried, packet_socket
from tests.bed.pod import REMOTE6, pod
from tests.bed.wait import until

GATEWAY6 = IPv6Address("fd00:10:244:1::1")
ALL_NODES = IPv6Address("ff02::1")


def mac_of(space: Netns) -> str:
    return space.query("link", "show", "dev", "eth0")[0]["address"]


def claim6(mac: str) -> bytes:
    """Return a multicast NA with the flags R and O."""
    body = bytes((136, 0, 0, 0, 0xA0, 0, 0, 0)) + GATEWAY6.packed + b"\x02\x01" + mac_bytes(mac)
    ends = GATEWAY6.packed + ALL_NODES.packed
    total = checksum(ends + struct.pack("!II", len(body), 58) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    head = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + ends
    return mac_bytes("33:33:00:00:00:01") + mac_bytes(mac) + b"\x86\xdd" + head + body


def claim4(mac: str) -> bytes:
    """Return an ARP announcement."""
    address = bytes((10, 244, 1, 1))
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac_bytes(mac) + address + bytes(6) + address
    return b"\xff" * 6 + mac_bytes(mac) + b"\x08\x06" + body


def test_a_forged_na_takes_no_guest_its_router_and_is_named() -> None:
    with pod("flat") as made, machine(made, 66) as forger, started_in(made) as vm:
        guest, mac = addressed(vm), mac_of(forger)
        router = made.layout.router
        until(lambda: guest.reaches(REMOTE6), "IPv6 before")
        with (
            packet_socket(forger, "eth0") as wire,
            capture(guest, "eth0") as tap,
            capture(made.gateway, "pod0") as outside,
        ):
            sent, end = 0, time.monotonic() + 5
            while time.monotonic() < end:
                wire.send(claim6(mac))
                wire.send(claim4(mac))
                sent += 1
                time.sleep(0.01)
            heard = tap.read().received
            ours = [f for f in heard if kind(f) == NA and f[62:78] != GATEWAY6.packed]
            assert [f for f in ours if mac_bytes(mac) in (f[6:12], f[80:86])] == []
            # The forged frames reach the guest by themselves; none is added to them.
            announced = [f for f in heard if kind(f) == ARP and f[28:32] == f[38:42]]
            assert len(announced) <= sent
            asked = [f for f in outside.read().received if f[:6] == mac_bytes(mac)]
            assert asked == [], "the forger was asked though the gateway answers"
        assert default_routers(guest) == [router]
        assert lladdrs(guest)[router] == made.layout.gateway_mac
        assert guest.reaches(REMOTE6)
        (shown,) = vm.sidecar.status()["guests"]
        until(
            lambda: any(
                f"{mac} claims {GATEWAY6}" in one
                for one in vm.sidecar.status()["guests"][0]["warnings"]
            ),
            f"a warning that names the forger, not only {shown['warnings']}",
        )


def test_nobody_on_the_network_speaks_for_the_virtual_router() -> None:
    """A solicitation's source is learned with its MAC, as is the better way of a redirect."""
    with started("cilium", "managed") as vm:
        guest, made, router = addressed(vm), vm.pod, str(OUR_LINK_LOCAL)
        until(lambda: guest.reaches(REMOTE6), "IPv6 before")
        own, forger = str(made.layout.ipv6[0].ip), "02:00:00:00:66:66"
        head = Ether(dst=made.layout.mac) / IPv6(src=router, dst=own, hlim=255)
        forged = {
            "NS": head / ICMPv6ND_NS(tgt=own) / ICMPv6NDOptSrcLLAddr(lladdr=forger),
            "redirect": head
            / ICMPv6ND_Redirect(tgt="fe80::66", dst=str(REMOTE6))
            / ICMPv6NDOptDstLLAddr(lladdr=forger),
        }
        with (
            packet_socket(made.gateway, "pod0") as wire,
            packet_socket(guest, "eth0") as inside,
        ):
            frames = {name: bytes(frame) for name, frame in forged.items()}
            assert carried(wire, inside, frames) == set()
        assert lladdrs(guest)[router] == made.layout.gateway_mac
        assert guest.reaches(REMOTE6)
