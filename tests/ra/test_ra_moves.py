"""What a guest is told when its gateways, or itself, have moved."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from guest.ethernet import mac_text
from guest.network import OUR_LINK_LOCAL
from ra import guest_input
from tests.ra.nd_wire import (
    GATEWAY4,
    GATEWAY6,
    MAC,
    NEW_LL,
    NEW_MAC,
    OLD_LL,
    OLD_MAC,
    POD_LL,
    PROBED,
    VIRTUAL,
    Clocked,
    asked,
    guest,
    lladdr,
    na,
    ra,
    replies,
    settled,
    sources,
    spoken,
    targets,
    vector,
)


@pytest.mark.parametrize("kind", ["virtual", "pod"])
def test_a_router_that_moves_is_announced_by_na_and_ra(kind: str):
    one = settled(kind)
    address = {"virtual": VIRTUAL, "pod": POD_LL}[kind]
    moved = na(POD_LL, NEW_MAC, 0xA0) if kind == "pod" else vector("na-kernel-moved")
    actions = one.hears(moved)
    [told] = replies(actions, "NA")
    packet = spoken(told.frame)
    assert (str(packet.src), packet.src_mac) == (address, NEW_MAC)
    assert (str(packet.dst), packet.dst_mac) == ("ff02::1", "33:33:00:00:00:01")
    assert packet.payload[4] == 0xA0  # R and O
    assert packet.payload[8:] == IPv6Address(address).packed + lladdr(2, NEW_MAC)
    [advert] = replies(actions, "RA")
    assert mac_text(ra(advert.frame).all(1)[0]) == NEW_MAC
    assert actions.index(told) < actions.index(advert)


def test_an_eui64_router_that_moves_keeps_working_until_the_next_is_decided():
    one = settled("eui64")
    actions = one.hears(vector("na-kernel-moved"))
    [told] = replies(actions, "NA")
    assert spoken(told.frame).payload[8:] == IPv6Address(OLD_LL).packed + lladdr(2, NEW_MAC)
    assert set(targets(actions)) == {NEW_LL, str(GATEWAY4)}
    assert sources(one.hears(na(NEW_LL, NEW_MAC))) == [(NEW_LL, 65535), (OLD_LL, 0)]


def test_an_eui64_router_whose_successor_does_not_answer_becomes_virtual():
    one = settled("eui64")
    one.hears(vector("na-kernel-moved"))
    assert sources(one.run(0.3)) == [(VIRTUAL, 65535), (OLD_LL, 0)]


@pytest.mark.parametrize("order", [1, -1], ids=["link-local first", "global first"])
def test_an_eui64_router_that_takes_its_address_along_stays(order: int):
    one = settled("eui64")
    for name in ["na-kernel-moved-link-local", "na-kernel-moved"][::order]:
        one.hears(vector(name))
    one.run(60)
    assert (VIRTUAL, 65535) not in sources([action for _, action in one.log])
    expected = guest_input.Router(IPv6Address(OLD_LL), NEW_MAC, "eui64")
    assert guest_input.router(one.state) == expected


@pytest.mark.parametrize("kind", ["virtual", "eui64", "pod"])
def test_an_ipv4_gateway_that_moves_is_announced_by_gratuitous_arp(kind: str):
    actions = settled(kind).hears(vector("arp-kernel-moved"))
    [told] = replies(actions, "ARP")
    assert told.frame == vector("arp-kernel-moved")
    assert replies(actions, "RA") == []


def test_a_move_seen_in_ipv4_is_looked_for_in_ipv6():
    one = settled("virtual")
    assert targets(one.hears(vector("arp-kernel-moved"))) == [str(GATEWAY6)]
    assert replies(one.hears(na(str(GATEWAY6), NEW_MAC)), "NA")


def test_a_storm_of_moves_costs_one_multicast_ra_per_three_seconds():
    one = settled("virtual")
    del one.log[:]
    for number in range(1000):
        one.hears(na(str(GATEWAY6), f"52:54:00:fe:{number >> 8:02x}:{number & 255:02x}", 0xA0))
        one.run(0.01)
    assert 3 <= len(replies([action for _, action in one.log], "RA")) <= 4
    assert len(one.state.withdrawn) <= 3


def test_a_storm_of_moves_costs_one_probe_per_second():
    one = settled("eui64")
    del one.log[:]
    for number in range(1000):
        mac = f"52:54:00:fe:{number >> 8:02x}:{number & 255:02x}"
        one.hears(na(str(GATEWAY6), mac, 0xA0))
        one.run(0.01)
    assert len(asked([action for _, action in one.log])) <= 3 * 11


def test_a_migrated_guest_is_told_where_its_gateways_are_now():
    known = ((GATEWAY6, NEW_MAC), (GATEWAY4, NEW_MAC))
    one = Clocked(guest(migration_target=True, gateway_lladdrs=known))
    actions = one.stirs() + one.run(0.5)
    assert [told.frame for told in replies(actions, "ARP")] == [vector("arp-kernel-moved")]
    [told] = replies(actions, "NA")
    assert spoken(told.frame).payload[8:] == OUR_LINK_LOCAL.packed + lladdr(2, NEW_MAC)
    assert sources(actions) == [(VIRTUAL, 65535)]


def test_a_migrated_guest_loses_the_virtual_router_where_a_real_one_answers():
    configured = guest(migration_target=True, gateway_lladdrs=((GATEWAY6, OLD_MAC),))
    one = Clocked(configured)
    one.stirs()
    assert sources(one.hears(PROBED)) == [(OLD_LL, 65535), (VIRTUAL, 0)]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(na(str(GATEWAY6), NEW_MAC, 0x40), id="without override"),
        pytest.param(na(str(GATEWAY6), NEW_MAC, 0xE0, "ff02::1"), id="solicited to a group"),
        pytest.param(na(str(GATEWAY6), "33:33:00:00:00:01", 0xA0), id="a group's MAC"),
        pytest.param(na(str(GATEWAY6), MAC, 0xA0), id="the guest's MAC"),
        pytest.param(na("fd00:10:244:1::9", NEW_MAC, 0xA0), id="another address"),
        pytest.param(vector("arp-kernel-request"), id="the guest's own request"),
        pytest.param(
            vector("arp-kernel-moved")[:28] + bytes(4) + vector("arp-kernel-moved")[32:],
            id="ARP of another address",
        ),
        pytest.param(
            vector("arp-kernel-reply")[:22] + bytes(6) + vector("arp-kernel-reply")[28:],
            id="ARP of no MAC",
        ),
    ],
)
def test_what_is_not_the_gateways_word_changes_nothing(frame: bytes):
    one = settled("virtual")
    before = one.state
    assert one.hears(frame) == []
    assert one.state == before


def test_the_guests_own_frames_are_not_believed():
    one = settled("virtual")
    forged = bytearray(vector("na-kernel-moved"))
    forged[6:12] = bytes.fromhex(MAC.replace(":", ""))
    assert one.hears(bytes(forged)) == []


def test_a_unicast_answer_without_an_option_confirms_the_sender():
    one = settled("eui64")
    assert one.hears(vector("na-kernel-unicast")) == []
    router = guest_input.router(one.state)
    assert router is not None
    assert router.lladdr == OLD_MAC
