"""802.1Q in the guest: a priority tag makes no difference, another network is left alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scapy.layers.dhcp6 import DUID_LL, DHCP6_Solicit, DHCP6OptClientId, DHCP6OptIA_NA
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6ND_RS

from tests.bed.evasions import AD as SERVICE
from tests.bed.evasions import ALL4, IPV4, IPV6, Q, dhcp4, framed, ipv4, tag
from tests.bed.guests import Started, started_in
from tests.bed.ipv6_chains import packet, upper_of
from tests.bed.packet_sockets import packet_socket
from tests.bed.pod import pod
from tests.bed.wait import until

WITHOUT_NET_ADMIN = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
SERVERS, ROUTERS = "ff02::1:2", "ff02::2"
PLACES = {"with the guard": (), "without NET_ADMIN": WITHOUT_NET_ADMIN}


@contextmanager
def plugged(vm: Started) -> Iterator[socket.socket]:
    vm.guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)
    vm.guest.ip("link set eth0 up")
    with packet_socket(vm.guest, "eth0") as guest:
        guest.settimeout(0.2)
        yield guest


def requests(mac: str) -> dict[str, tuple[int, bytes]]:
    """What the guest asks, as ethertype and packet."""
    source = "fe80::42"
    solicit = (
        UDP(sport=546, dport=547)
        / DHCP6_Solicit(trid=7)
        / DHCP6OptClientId(duid=DUID_LL(lladdr=mac))
        / DHCP6OptIA_NA(iaid=1)
    )
    return {
        "OFFER": (IPV4, ipv4(dhcp4("discover", 68, 67, mac))),
        "ADVERTISE": (
            IPV6, packet(*upper_of(solicit, SERVERS, source), dst=SERVERS, src=source)
        ),
        "RA": (IPV6, packet(*upper_of(ICMPv6ND_RS(), ROUTERS, source), dst=ROUTERS, src=source)),
    }  # fmt: skip


def answer(frame: bytes) -> str:
    """Name an untagged answer of ours."""
    if frame[12:14] == b"\x08\0" and frame[34:38] == b"\0\x43\0\x44":
        return "OFFER"
    if frame[12:14] == b"\x86\xdd" and frame[20] == 17 and frame[54:58] == b"\2\x23\2\x22":
        return "ADVERTISE"
    return "RA" if frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 134 else ""


def answers(guest: socket.socket) -> set[str]:
    found = set()
    try:
        while True:
            frame, (_, _, kind, *_) = guest.recvfrom(65_536)
            if kind != socket.PACKET_OUTGOING:
                found.add(answer(frame))
    except TimeoutError:
        return found - {""}


@pytest.mark.parametrize("prefix", PLACES.values(), ids=PLACES)
def test_requests_with_a_priority_tag_are_answered_and_those_of_a_vlan_are_not(prefix):
    with pod("flat") as made, started_in(made, prefix=prefix) as vm, plugged(vm) as guest:
        mac = made.layout.mac
        source = bytes.fromhex(mac.replace(":", ""))
        asked = requests(mac)

        def ask(*tags: tuple[int, int]) -> set[str]:
            for kind, inner in asked.values():
                frame = framed(ALL4 if kind == IPV4 else "33:33:00:00:00:02", kind, inner, *tags)
                guest.send(frame[:6] + source + frame[12:])
            return answers(guest)

        until(lambda: ask() == {*asked}, "untagged requests are answered")
        for one in (tag(0), tag(0, priority=6), tag(0, SERVICE)):
            found: set[str] = set()
            until(lambda found=found, one=one: found.update(ask(one)) or found == {*asked},
                  f"requests with the tag {one} are answered")  # fmt: skip
        for tags in ((tag(5),), (tag(0), tag(0)), (tag(0), tag(5)), (tag(5, SERVICE), tag(7))):
            until(lambda: not answers(guest), "nothing more comes")
            assert ask(*tags) <= {"RA"}, tags  # a periodic one may come


def test_dhcp_of_another_network_passes_both_ways():
    with pod("flat") as made, started_in(made) as vm, plugged(vm) as guest:
        mac = bytes.fromhex(made.layout.mac.replace(":", ""))
        discover = framed(ALL4, IPV4, ipv4(dhcp4("discover", 68, 67, made.layout.mac)), tag(5))
        offer = framed(ALL4, IPV4, ipv4(dhcp4("offer", 67, 68, made.layout.mac)), tag(5))
        discover = discover[:6] + mac + discover[12:]
        with packet_socket(made.gateway, "pod0") as network:
            network.settimeout(0.2)

            def carries(sender: socket.socket, receiver: socket.socket, frame: bytes) -> bool:
                """A receiver has the frame without its tag, which the kernel takes out."""
                sender.send(frame)
                try:
                    while True:
                        got, (_, _, kind, *_) = receiver.recvfrom(65_536)
                        if kind != socket.PACKET_OUTGOING and got[14:] == frame[18:]:
                            return True
                except TimeoutError:
                    return False

            until(lambda: carries(guest, network, discover), "the DISCOVER in VLAN 5 is out")
            until(lambda: carries(network, guest, offer), "the OFFER in VLAN 5 is in")
            plain = discover[:12] + discover[16:]
            assert int.from_bytes(discover[12:14], "big") == Q
            assert not carries(guest, network, plain)
