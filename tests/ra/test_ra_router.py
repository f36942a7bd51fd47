"""Which router a guest is told, how it is found, and what happens when it moves."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from binding.frame import mac_text
from binding.guest import OUR_LINK_LOCAL, GuestNetwork
from ra import session
from ra.gateway import eui64
from tests.ra.nd_wire import (
    GATEWAY4,
    GATEWAY6,
    MAC,
    NEW_LL,
    NEW_MAC,
    OLD_LL,
    OLD_MAC,
    VIRTUAL,
    Clocked,
    asked,
    guest,
    lladdr,
    na,
    ra,
    replies,
    route,
    spoken,
    vector,
)

RESOLVED = vector("na-kernel-solicited")
PROBED = na(OLD_LL, OLD_MAC)
POD_LL = "fe80::ecee:eeff:feee:eeee"
CALICO = guest(routes=(route("0.0.0.0/0", str(GATEWAY4)), route("::/0", POD_LL)))


def sources(actions: list[session.Action]) -> list[tuple[str, int]]:
    """Return (source, router lifetime) of each RA."""
    adverts = [ra(action.frame) for action in replies(actions, "RA")]
    return [(str(advert.packet.src), advert.lifetime) for advert in adverts]


def targets(actions: list[session.Action]) -> list[str]:
    """Return whom the frames for the pod NIC ask for."""
    return [action.note.removeprefix("who has ") for action in asked(actions)]


def settled(kind: str, configured: GuestNetwork | None = None) -> Clocked:
    """Return a session at rest with a router of that kind and all gateways at OLD_MAC."""
    one = Clocked(configured or (CALICO if kind == "pod" else guest()))
    one.says(vector("rs-kernel"))
    one.hears(vector("arp-kernel-reply"))
    one.hears(na(POD_LL, OLD_MAC) if kind == "pod" else RESOLVED)
    if kind == "eui64":
        one.hears(PROBED)
    one.run(60)
    router = session.router(one.state)
    assert router is not None
    assert (router.source, router.lladdr) == (kind, OLD_MAC)
    return one


def test_a_link_local_gateway_is_announced_at_once():
    one = Clocked(CALICO)
    assert sources(one.says(vector("rs-kernel"))) == [(POD_LL, 65535)]
    assert session.router(one.state) == session.Router(IPv6Address(POD_LL), None, "pod")


def test_a_gateway_that_answers_for_its_eui64_is_announced_by_it():
    one = Clocked(guest())
    assert sources(one.says(vector("rs-kernel"))) == []
    assert targets(one.hears(RESOLVED)) == [OLD_LL]
    assert sources(one.hears(PROBED)) == [(OLD_LL, 65535)]


def test_a_gateway_known_from_the_pod_is_probed_without_resolving_it():
    one = Clocked(guest(gateway_lladdrs=((GATEWAY6, OLD_MAC), (GATEWAY4, OLD_MAC))))
    assert targets(one.says(vector("rs-kernel"))) == [OLD_LL]


def test_a_gateway_that_does_not_is_announced_by_the_virtual_address_after_300_ms():
    one = Clocked(guest())
    one.says(vector("rs-kernel"))
    one.hears(RESOLVED)
    assert sources(one.run(0.29)) == []
    [answer] = replies(one.run(0.02), "RA")
    advert = ra(answer.frame)
    assert advert.packet.src == OUR_LINK_LOCAL
    assert advert.packet.src_mac == OLD_MAC
    assert mac_text(advert.all(1)[0]) == OLD_MAC


def test_an_unresolved_gateway_delays_the_ra_by_300_ms_and_costs_only_its_slla():
    one = Clocked(guest())
    one.says(vector("rs-kernel"))
    [answer] = replies(one.run(0.3), "RA")
    advert = ra(answer.frame)
    assert (str(advert.packet.src), advert.lifetime) == (VIRTUAL, 65535)
    assert advert.all(1) == []


def test_without_a_default_route_the_ra_is_at_once_and_no_router_is_shown():
    one = Clocked(guest(routes=()))
    actions = one.says(vector("rs-kernel"))
    assert sources(actions) == [(VIRTUAL, 0)]
    assert asked(actions) == []
    assert session.router(one.state) is None


def test_a_router_found_late_replaces_the_one_told_and_only_then_ends_it():
    one = Clocked(guest())
    one.says(vector("rs-kernel"))
    one.run(1.5)
    one.hears(RESOLVED)
    assert sources(one.hears(PROBED)) == [(OLD_LL, 65535), (VIRTUAL, 0)]


def test_a_gateway_found_late_that_has_no_eui64_is_told_with_its_mac():
    one = Clocked(guest())
    one.says(vector("rs-kernel"))
    one.run(1.5)
    assert sources(one.hears(RESOLVED)) == []
    [answer] = replies(one.run(0.3), "RA")
    assert mac_text(ra(answer.frame).all(1)[0]) == OLD_MAC


def test_questions_on_the_pod_nic_are_the_guests_own_frames():
    one = Clocked(guest())
    arp, resolution = (action.frame for action in asked(one.stirs()))
    assert arp == vector("arp-kernel-request")
    packet = spoken(resolution)
    assert (packet.src_mac, packet.src) == (MAC, guest().ipv6[0].ip)
    assert (packet.dst_mac, str(packet.dst)) == ("33:33:ff:00:00:01", "ff02::1:ff00:1")
    assert packet.payload[8:] == GATEWAY6.packed + lladdr(1, MAC)


def test_nothing_is_asked_before_the_guest_is_active():
    one = Clocked(guest())
    one.hears(vector("arp-kernel-moved"))
    one.hears(vector("na-kernel-moved"))
    one.run(1000)
    assert one.log == []


def test_an_unresolvable_gateway_is_asked_for_three_times_a_second_apart():
    one = Clocked(guest(ipv4=()))
    start = one.now
    one.stirs()
    one.run(3600)
    times = [at - start for at, action in one.log if isinstance(action, session.Solicit)]
    assert times == [0, 1, 2]


def test_on_demand_an_unresolvable_gateway_is_asked_for_once_a_second():
    one = Clocked(guest(ipv4=()))
    one.stirs()
    one.run(100)
    del one.log[:]
    for _ in range(1000):
        one.says(vector("ns-kernel-multicast"))
        one.run(0.01)
    assert 9 <= len(asked([action for _, action in one.log])) <= 11


def test_a_resolved_gateway_is_never_asked_for_again_by_itself():
    one = settled("eui64")
    assert asked(one.run(7 * 86_400)) == []


def test_a_guest_that_verifies_the_virtual_router_has_us_verify_the_gateway():
    one = settled("virtual")
    assert targets(one.says(vector("ns-kernel-unicast"))) == [str(GATEWAY6)]
    one.hears(RESOLVED)
    assert asked(one.run(5)) == []
    assert targets(one.says(vector("ns-kernel-unicast"))) == []


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


def test_an_eui64_router_that_takes_its_address_along_stays():
    one = settled("eui64")
    one.hears(vector("na-kernel-moved-link-local"))
    one.hears(vector("na-kernel-moved"))
    one.run(60)
    expected = session.Router(IPv6Address(OLD_LL), NEW_MAC, "eui64")
    assert session.router(one.state) == expected


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
    router = session.router(one.state)
    assert router is not None
    assert router.lladdr == OLD_MAC


def test_an_eui64_address_flips_the_universal_bit():
    assert eui64("0a:58:0a:f4:01:01") == IPv6Address("fe80::858:aff:fef4:101")
