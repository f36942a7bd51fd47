"""The filters, run by the kernel: a unix datagram socket obeys SO_ATTACH_FILTER too."""

import ctypes
import socket
import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Advertise, DHCP6_Solicit
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptUnknown,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether

from binding.packet import bpf
from binding.packet.message_table import Parties
from guest.network import OUR_LINK_LOCAL

GUEST_RULES = bpf.guest_rules(Parties())
"""At the tap of a guest for which dsbridge answers at its own addresses only."""

GUEST, ROUTER = "52:54:00:12:34:56", "ee:ee:ee:ee:ee:ee"
ETHER = Ether(src=GUEST, dst="ff:ff:ff:ff:ff:ff")
V4 = ETHER / IP(src="0.0.0.0", dst="255.255.255.255")
V6 = ETHER / IPv6(src="fe80::5", dst="ff02::2")
DISCOVER = UDP(sport=68, dport=67) / BOOTP() / DHCP(options=[("message-type", 1), "end"])
OPTIONS = IP(src="0.0.0.0", dst="255.255.255.255", options=[b"\x94\x04\0\0"])


def passes(rules, frame):
    code = bpf.program(rules)
    buffer = ctypes.create_string_buffer(bpf.packed(code))
    program = struct.pack("HL", len(code), ctypes.addressof(buffer))
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with near, far:
        far.setsockopt(socket.SOL_SOCKET, 26, program)
        try:
            near.send(bytes(frame))
            return far.recv(65536) == bytes(frame)
        except (BlockingIOError, PermissionError):
            return False


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(V4 / DISCOVER, id="DISCOVER"),
        pytest.param(ETHER / OPTIONS / DISCOVER, id="DISCOVER behind IPv4 options"),
        pytest.param(ETHER / IP(src="10.0.0.5", dst="10.0.0.1") / DISCOVER, id="unicast renewal"),
        pytest.param(V6 / UDP(sport=546, dport=547) / DHCP6_Solicit(), id="SOLICIT"),
        pytest.param(V6 / ICMPv6ND_RS(), id="RS"),
        pytest.param(V6 / ICMPv6ND_NS(tgt=str(OUR_LINK_LOCAL)), id="NS for the virtual router"),
        pytest.param(ETHER / ARP(op=1, pdst="192.0.0.8"), id="ARP for the server"),
    ],
)
def test_a_request_to_us_passes_at_the_tap(frame):
    assert passes(GUEST_RULES, frame)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(ETHER / IP() / TCP(dport=67), id="TCP to port 67"),
        pytest.param(ETHER / IP() / UDP(dport=53), id="DNS"),
        pytest.param(ETHER / IP(frag=100, proto=17) / bytes(64), id="later fragment"),
        pytest.param(ETHER / IP() / ICMP(), id="ping"),
        pytest.param(V6 / ICMPv6EchoRequest(), id="ping over IPv6"),
        pytest.param(V6 / ICMPv6ND_NS(tgt="fe80::1"), id="NS for somebody else"),
        pytest.param(V6 / ICMPv6ND_NS(tgt="fe80::d5b:1d9f"), id="NS one bit beside ours"),
        pytest.param(V6 / ICMPv6ND_NA(), id="NA"),
        pytest.param(V6 / UDP(dport=546) / DHCP6_Advertise(), id="ADVERTISE of the guest"),
        pytest.param(ETHER / ARP(), id="ARP"),
        pytest.param(ETHER / ARP(op=1, pdst="192.0.0.9"), id="ARP for somebody else"),
        pytest.param(ETHER / ARP(op=2, pdst="192.0.0.8"), id="ARP reply"),
        pytest.param(ETHER / Dot1Q(vlan=5) / IP() / DISCOVER, id="DISCOVER in a VLAN"),
        pytest.param(bytes(10), id="shorter than a header"),
    ],
)
def test_bulk_traffic_never_wakes_us(frame):
    assert not passes(GUEST_RULES, frame)


def tagged(frame, *tags):
    """A frame with tags in it, as a driver hands it on that does not take them out."""
    octets = bytes(frame)
    return octets[:12] + b"".join(struct.pack("!HH", *tag) for tag in tags) + octets[12:]


ASKED = {
    "DISCOVER": V4 / DISCOVER,
    "DISCOVER behind IPv4 options": ETHER / OPTIONS / DISCOVER,
    "SOLICIT": V6 / UDP(sport=546, dport=547) / DHCP6_Solicit(),
    "RS": V6 / ICMPv6ND_RS(),
    "NS for the virtual router": V6 / ICMPv6ND_NS(tgt=str(OUR_LINK_LOCAL)),
    "ARP for the server": ETHER / ARP(op=1, pdst="192.0.0.8"),
}


@pytest.mark.parametrize("frame", ASKED.values(), ids=ASKED)
def test_a_tag_of_vid_0_is_no_tag_and_any_other_is_of_another_network(frame):
    for kind in (0x8100, 0x88A8):
        for tci in (0x0000, 0xE000, 0x1000):
            assert passes(GUEST_RULES, tagged(frame, (kind, tci)))
        for tci in (0x0001, 0x0005, 0x0FFE, 0x0FFF, 0xE005):
            assert not passes(GUEST_RULES, tagged(frame, (kind, tci)))
            assert not passes(GUEST_RULES, tagged(frame, (0x8100, 0), (kind, tci)))
        assert not passes(GUEST_RULES, tagged(frame, (0x8100, 0), (kind, 0)))


def test_a_tag_of_vid_0_makes_no_bulk_traffic_heard():
    for frame in (ETHER / IP() / TCP(dport=67), V6 / ICMPv6EchoRequest(), ETHER / ARP()):
        assert not passes(GUEST_RULES, tagged(frame, (0x8100, 0)))


def test_no_truncated_frame_is_heard():
    for frame in (V4 / UDP(sport=68, dport=67), V6 / ICMPv6ND_RS()):
        octets = bytes(frame)
        header = 38 if octets[12:14] == b"\x08\0" else 55  # up to what tells it
        for length in range(header):
            assert not passes(GUEST_RULES, octets[:length])


def test_the_answers_are_known_by_port_and_the_news_by_sender_in_a_tag_of_vid_0_too():
    offer = FROM_ROUTER / IP() / UDP(sport=67, dport=68) / BOOTP()
    gratuitous = ETHER / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.1")
    other = ETHER / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.9")
    assert passes(bpf.NETWORK_RULES, tagged(offer, (0x8100, 0)))
    assert passes(bpf.NETWORK_RULES, tagged(gratuitous, (0x8100, 0)))
    assert not passes(bpf.NETWORK_RULES, tagged(other, (0x8100, 0)))
    for moved in (arp(OTHER), na(OTHER), na(ROUTER, option=OTHER)):
        assert passes(CHANGES, tagged(moved, (0x8100, 0)))
    for known in (arp(ROUTER), na(ROUTER), na(OTHER, option=ROUTER)):
        assert not passes(CHANGES, tagged(known, (0x8100, 0)))


def test_solicitations_for_any_address_that_we_answer_for_pass_at_the_tap():
    """A gateway that only a permanent neighbour entry knows (AWS VPC CNI)."""
    who = Parties(answered=(IPv4Address("169.254.1.1"), IPv6Address("fe80::1")))
    rules = bpf.guest_rules(who)
    assert passes(rules, ETHER / ARP(op=1, pdst="169.254.1.1"))
    assert passes(rules, V6 / ICMPv6ND_NS(tgt="fe80::1"))
    assert not passes(rules, ETHER / ARP(op=1, pdst="192.0.0.8"))
    assert passes(rules, V4 / DISCOVER)


FROM_ROUTER = Ether(src=ROUTER, dst=GUEST)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(FROM_ROUTER / ARP(op=2, psrc="10.0.0.1", pdst="10.0.0.5"), id="ARP reply"),
        pytest.param(ETHER / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.1"), id="gratuitous ARP"),
        pytest.param(FROM_ROUTER / IPv6() / ICMPv6ND_NA(), id="NA"),
        pytest.param(FROM_ROUTER / IPv6() / ICMPv6ND_RA(), id="RA of a rogue router"),
        pytest.param(FROM_ROUTER / IP() / UDP(sport=67, dport=68) / BOOTP(), id="rogue OFFER"),
        pytest.param(FROM_ROUTER / IPv6() / UDP(sport=547, dport=546), id="rogue ADVERTISE"),
    ],
)
def test_news_of_gateways_and_other_servers_passes_at_the_nic(frame):
    assert passes(bpf.NETWORK_RULES, frame)


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        pytest.param(V4 / DISCOVER, True, id="DISCOVER"),
        pytest.param(FROM_ROUTER / IP() / UDP(sport=67, dport=68) / BOOTP(), True, id="OFFER"),
        pytest.param(V6 / UDP(sport=546, dport=547) / DHCP6_Solicit(), True, id="SOLICIT"),
        pytest.param(FROM_ROUTER / IPv6() / UDP(sport=547, dport=546), True, id="ADVERTISE"),
        pytest.param(V6 / ICMPv6ND_NS(tgt="fe80::1"), True, id="NS"),
        pytest.param(FROM_ROUTER / IPv6() / ICMPv6ND_RA(), True, id="RA"),
        pytest.param(ETHER / ARP(), True, id="ARP"),
        pytest.param(ETHER / IP() / TCP(dport=443), False, id="TCP"),
        pytest.param(V6 / ICMPv6EchoRequest(), False, id="ping over IPv6"),
    ],
)
def test_a_capture_holds_configuration_and_nothing_of_the_guests_own_traffic(frame, wanted):
    assert passes(bpf.CAPTURE_RULES, frame) is wanted


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(ETHER / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.9"), id="ARP request"),
        pytest.param(FROM_ROUTER / IP() / TCP(), id="TCP"),
        pytest.param(FROM_ROUTER / IPv6() / ICMPv6ND_NS(), id="NS"),
        pytest.param(FROM_ROUTER / IP() / UDP(sport=53, dport=68), id="UDP to port 68"),
    ],
)
def test_other_traffic_passes_not_at_the_nic(frame):
    assert not passes(bpf.NETWORK_RULES, frame)


OTHER = "ee:ee:ee:ee:ee:ef"
CHANGES = bpf.change_rules(((IPv4Address("10.0.0.1"), ROUTER), (IPv6Address("fe80::1"), ROUTER)))


def arp(mac, address="10.0.0.1"):
    return Ether(src=mac, dst=GUEST) / ARP(op=2, hwsrc=mac, psrc=address, pdst="10.0.0.5")


def na(mac, target="fe80::1", option=None):
    frame = Ether(src=mac, dst=GUEST) / IPv6() / ICMPv6ND_NA(tgt=target)
    return frame / ICMPv6NDOptDstLLAddr(lladdr=option) if option else frame


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        pytest.param(arp(OTHER), True, id="ARP of the gateway from another MAC"),
        pytest.param(arp("ef:ee:ee:ee:ee:ee"), True, id="a MAC that differs at its other end"),
        pytest.param(na(OTHER), True, id="NA of the gateway from another MAC"),
        pytest.param(arp(ROUTER), False, id="ARP of the gateway as it is known"),
        pytest.param(na(ROUTER), False, id="NA of the gateway as it is known"),
        pytest.param(na(ROUTER, option=OTHER), True, id="NA that names another MAC"),
        pytest.param(na(OTHER, option=ROUTER), False, id="NA that names the known MAC"),
        pytest.param(
            na(OTHER) / ICMPv6NDOptUnknown(type=14, data=bytes(6)),
            True,
            id="NA from another MAC with an option of another kind",
        ),
        pytest.param(arp(OTHER, "10.0.0.9"), False, id="ARP of a neighbour"),
        pytest.param(na(OTHER, "fe80::2"), False, id="NA of a neighbour"),
        pytest.param(FROM_ROUTER / IPv6() / ICMPv6ND_RA(), False, id="RA"),
    ],
)
def test_at_rest_only_a_gateway_that_moved_wakes_us(frame, wanted):
    assert passes(CHANGES, frame) is wanted


@pytest.mark.parametrize(
    ("known", "wanted"),
    [((), True), ((OTHER,), True), ((ROUTER,), False), ((OTHER, ROUTER), False)],
)
def test_at_rest_a_router_that_is_not_known_wakes_us(known, wanted):
    assert passes(bpf.router_rules(known), FROM_ROUTER / IPv6() / ICMPv6ND_RA()) is wanted
    assert not passes(bpf.router_rules(known), na(OTHER))


TO_GUEST = Ether(src=ROUTER, dst=GUEST)
TO_ALL = Ether(src=ROUTER, dst="33:33:00:00:00:01")


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        pytest.param(TO_GUEST / IP() / UDP(sport=67, dport=68) / BOOTP(op=2), True, id="OFFER"),
        pytest.param(TO_GUEST / IPv6() / UDP(sport=547, dport=546), True, id="ADVERTISE"),
        pytest.param(TO_GUEST / IPv6() / ICMPv6ND_RA(), True, id="RA that answers an RS"),
        pytest.param(TO_ALL / IPv6(dst="ff02::1") / ICMPv6ND_RA(), False, id="regular RA"),
        pytest.param(
            Ether(src=ROUTER, dst="52:54:00:12:34:57") / IPv6() / ICMPv6ND_RA(),
            False,
            id="RA to a neighbour",
        ),
        pytest.param(TO_GUEST / IPv6() / ICMPv6ND_NA(), False, id="NA"),
        pytest.param(TO_GUEST / IP() / TCP(), False, id="TCP"),
    ],
)
def test_at_rest_an_answer_to_the_guest_wakes_us(frame, wanted):
    assert passes(bpf.answer_rules(GUEST), frame) is wanted


@pytest.mark.parametrize(
    ("target", "heard"),
    [
        ("fe80::858:aff:fef4:101", True),  # differs from the router in its last word only
        ("fe80::858:aff:ffff:202", True),
        ("fe80:1::858:aff:fef4:202", True),
        ("fe80::858:aff:fef4:202", False),
        ("fd00::858:aff:fef4:101", False),
    ],
)
def test_a_guest_that_has_arrived_is_heard_when_it_asks_for_a_router_other_than_ours(target, heard):
    ours = IPv6Address("fe80::858:aff:fef4:202")
    rules = bpf.guest_rules(Parties(has_arrived=True, router=ours))
    assert passes(rules, V6 / ICMPv6ND_NS(tgt=target)) is heard
