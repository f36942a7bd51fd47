"""ARP and NS that are answered in the place of others, and for our own link-local address."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from binding.serve.responder import Responder
from guest.ethernet import mac_bytes, solicited_node
from guest.network import OUR_MAC
from tests.ra.nd_wire import (
    GATEWAY6,
    GUEST_LL,
    MAC,
    NEW_MAC,
    OLD_MAC,
    POD_LL,
    VIRTUAL,
    guest,
    lladdr,
    nd,
    ns,
    options,
    route,
    settled,
    spoken,
)

FAR4, FAR6 = IPv4Address("169.254.1.1"), IPv6Address("fe80::1")
AWS = guest(
    routes=(route(f"{FAR4}/32"), route("0.0.0.0/0", str(FAR4)), route("::/0", str(FAR6))),
    gateway_lladdrs=((FAR4, OLD_MAC), (FAR6, OLD_MAC)),
    permanent_neighbors=(
        (FAR4, OLD_MAC),
        (FAR6, OLD_MAC),
        (ip_address("10.244.1.9"), NEW_MAC),
        (ip_address("fd00:10:244:1::9"), NEW_MAC),
    ),
)


def who_has(target: str, mac: str = MAC, to: str = "ff:ff:ff:ff:ff:ff") -> bytes:
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    body = fixed + mac_bytes(mac) + guest().ipv4[0].ip.packed + bytes(6)
    return mac_bytes(to) + mac_bytes(mac) + b"\x08\x06" + body + IPv4Address(target).packed


def solicited(target: str, *, unicast: str = "", source: str = GUEST_LL, mac: str = MAC) -> bytes:
    """Return an NS: a first question, or the verification of an entry at the MAC `unicast`."""
    group = str(solicited_node(IPv6Address(target)))
    option = b"" if source == "::" else lladdr(1, mac)
    to = (target, unicast) if unicast else (group, "33:33:ff:00:00:01")
    return nd(ns(target, option), source, to[0], mac, to[1])


@pytest.mark.parametrize(("target", "mac"), [(str(FAR4), OLD_MAC), ("10.244.1.9", NEW_MAC)])
@pytest.mark.parametrize("to", ["ff:ff:ff:ff:ff:ff", OLD_MAC], ids=["first", "verification"])
def test_arp_for_a_permanent_neighbour_is_answered_with_its_mac(target: str, mac: str, to: str):
    output = Responder(AWS, 0.0).from_guest(who_has(target, to=to), 1.0)
    [reply] = output.tap
    assert (reply[:6], reply[6:12]) == (mac_bytes(MAC), mac_bytes(mac))
    assert reply[20:32] == b"\0\2" + mac_bytes(mac) + IPv4Address(target).packed
    assert output.nic == ()


@pytest.mark.parametrize(
    ("target", "mac", "flags"),
    [(str(FAR6), OLD_MAC, 0xE0), ("fd00:10:244:1::9", NEW_MAC, 0x60)],
    ids=["a router keeps its R flag", "a host has none"],
)
@pytest.mark.parametrize("verifies", [False, True])
def test_ns_for_a_permanent_neighbour_is_answered_with_its_mac(
    target: str, mac: str, flags: int, verifies
):
    one = Responder(AWS, 0.0)
    output = one.from_guest(solicited(target, unicast=mac if verifies else ""), 1.0)
    [frame] = [f for f in output.tap if spoken(f).payload[0] == 136]
    packet = spoken(frame)
    assert (packet.src_mac, str(packet.src), str(packet.dst)) == (mac, target, GUEST_LL)
    assert packet.payload[4] == flags
    assert options(packet.payload[24:]) == [(2, mac_bytes(mac))]
    assert not any(IPv6Address(target).packed in question for question in output.nic)


@pytest.mark.parametrize("mode", ["dhcp", "off"])
def test_a_guest_that_is_configured_by_hand_is_answered_all_the_same(mode):
    one = Responder(replace(AWS, ipv4_mode=mode, ipv6_mode=mode), 0.0)
    assert one.from_guest(who_has(str(FAR4)), 1.0).tap
    assert one.from_guest(solicited(str(FAR6)), 1.0).tap


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(who_has("169.254.1.2"), id="ARP for another address"),
        pytest.param(who_has(str(FAR4), NEW_MAC), id="ARP from another MAC"),
        pytest.param(solicited("fe80::2"), id="NS for another address"),
        pytest.param(solicited(str(FAR6), mac=NEW_MAC), id="NS from another MAC"),
    ],
)
def test_nobody_else_is_answered_for_and_nobody_else_answered(frame: bytes):
    assert Responder(AWS, 0.0).from_guest(frame, 1.0).tap == ()


@pytest.mark.parametrize("provider", ["kube-ovn", "auto"])
def test_where_others_serve_their_answers_are_not_ours_to_give(provider):
    one = Responder(replace(AWS, provider=provider, nic="eth0-nic"), 0.0)
    assert one.from_guest(who_has(str(FAR4)), 1.0).tap == ()
    assert one.from_guest(solicited(str(FAR6)), 1.0).tap == ()


def test_a_guest_that_tries_such_an_address_for_itself_is_refused_and_named():
    output = Responder(AWS, 0.0).from_guest(solicited(str(FAR6), source="::"), 1.0)
    [warning] = [one for one in output.exchanges if one.warning]
    assert str(spoken(warning.frame).dst) == "ff02::1"
    assert str(FAR6) in warning.note


@pytest.mark.parametrize("question", [who_has(str(FAR4)), solicited(str(FAR6))])
def test_at_rest_such_an_answer_is_repeated_and_starts_no_process(question: bytes):
    one = Responder(AWS, 0.0)
    output = one.from_guest(question, 1.0)
    assert output.tap
    (again,) = [known for known in one.service.repeats if known.request == question]
    assert again.tap[0] in output.tap
    assert not again.wakes


@pytest.mark.parametrize("kind", ["pod", "eui64"])
def test_the_dhcpv6_servers_address_is_not_the_gateways_where_the_router_is_real(kind: str):
    one = settled(kind)
    actions = one.says(solicited(VIRTUAL))
    [answer] = [a for a in actions if getattr(a, "reply", "") == "NA"]
    assert spoken(answer.frame).src_mac == OUR_MAC
    assert options(spoken(answer.frame).payload[24:]) == [(2, mac_bytes(OUR_MAC))]


def test_the_virtual_routers_address_is_the_gateways():
    [answer] = [
        a for a in settled("virtual").says(solicited(VIRTUAL)) if getattr(a, "reply", "") == "NA"
    ]
    assert options(spoken(answer.frame).payload[24:]) == [(2, mac_bytes(OLD_MAC))]


def test_a_migrated_guest_keeps_its_virtual_router_until_that_is_withdrawn():
    """It may have been told that one on the former node, and sends by it for some seconds yet."""
    routes = (route("::/0", POD_LL),)
    known = ((IPv6Address(POD_LL), OLD_MAC), (GATEWAY6, OLD_MAC))
    arriving = guest(routes=routes, migration_target=True, gateway_lladdrs=known)
    one = Responder(arriving, 0.0)
    one.appear(1.0)

    def lladdr_of_virtual(now: float) -> str:
        output = one.from_guest(solicited(VIRTUAL), now)
        [frame] = [f for f in output.tap if spoken(f).payload[0] == 136]
        return spoken(frame).src_mac

    assert lladdr_of_virtual(1.1) == OLD_MAC
    now = 1.1
    while (at := one.wake_at) is not None and at < 120:
        now = max(now, at)
        one.due(now)
    assert lladdr_of_virtual(now + 1) == OUR_MAC
