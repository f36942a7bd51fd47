"""Which router a guest is told, and what is asked on the pod NIC to find it."""

from __future__ import annotations

from ipaddress import IPv6Address

from guest.ethernet import mac_text
from guest.network import OUR_LINK_LOCAL
from ra import guest_input
from ra.gateway import Router, eui64
from ra.state import Solicit
from tests.ra.nd_wire import (
    CALICO,
    GATEWAY4,
    GATEWAY6,
    MAC,
    OLD_LL,
    OLD_MAC,
    POD_LL,
    PROBED,
    RESOLVED,
    VIRTUAL,
    Clocked,
    asked,
    guest,
    lladdr,
    ra,
    replies,
    settled,
    sources,
    spoken,
    targets,
    vector,
)


def test_a_link_local_gateway_is_announced_at_once():
    one = Clocked(CALICO)
    assert sources(one.says(vector("rs-kernel"))) == [(POD_LL, 65535)]
    assert guest_input.router(one.state) == Router(IPv6Address(POD_LL), None, "pod")


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
    assert guest_input.router(one.state) is None


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
    times = [at - start for at, action in one.log if isinstance(action, Solicit)]
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
    assert asked(one.run(0.9)) == []
    assert targets(one.says(vector("ns-kernel-unicast"))) == []
    assert targets(one.run(0.2)) == [str(GATEWAY6)]
    one.hears(RESOLVED)
    assert asked(one.run(86_400)) == []


def test_an_eui64_address_flips_the_universal_bit():
    assert eui64("0a:58:0a:f4:01:01") == IPv6Address("fe80::858:aff:fef4:101")
