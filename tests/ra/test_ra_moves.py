"""What a guest is told when its gateways, or itself, have moved."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from guest.ethernet import mac_text
from guest.exchange import Exchange
from guest.network import OUR_LINK_LOCAL
from ra import guest_input
from ra.gateway import Router
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
    arp,
    asked,
    guest,
    lladdr,
    na,
    ra,
    replies,
    settled,
    sources,
    spoken,
    vector,
    verified,
)

GATEWAYS = {str(GATEWAY4), str(GATEWAY6), POD_LL}


def moves(kind: str, *also: str) -> Clocked:
    """Return a session at rest, whose gateways are at NEW_MAC now, with other addresses."""
    one = settled(kind)
    one.stations = {NEW_MAC: {*GATEWAYS, *also}}
    return one


@pytest.mark.parametrize("kind", ["virtual", "pod"])
def test_a_router_that_moves_is_announced_by_na_and_ra(kind: str):
    one = moves(kind)
    address = {"virtual": VIRTUAL, "pod": POD_LL}[kind]
    moved = na(POD_LL, NEW_MAC, 0xA0) if kind == "pod" else vector("na-kernel-moved")
    actions = one.hears(moved) + one.run(0.5)
    [told] = replies(actions, "NA")
    packet = spoken(told.frame)
    assert (str(packet.src), packet.src_mac) == (address, NEW_MAC)
    assert (str(packet.dst), packet.dst_mac) == ("ff02::1", "33:33:00:00:00:01")
    assert packet.payload[4] == 0xA0  # R and O
    assert packet.payload[8:] == IPv6Address(address).packed + lladdr(2, NEW_MAC)
    [advert] = replies(actions, "RA")
    assert mac_text(ra(advert.frame).all(1)[0]) == NEW_MAC
    assert actions.index(told) < actions.index(advert)


def test_a_move_is_checked_with_the_old_mac_first_and_then_with_the_new_one():
    one = settled("virtual")
    start = one.now
    del one.log[:]
    assert replies(one.hears(vector("na-kernel-moved")) + one.run(10), "NA") == []
    asks = [(round(at - start, 2), verified([action])) for at, action in one.log]
    assert asks == [
        (0, [f"does {OLD_MAC} have {GATEWAY6}"]),
        (0.15, [f"does {OLD_MAC} have {GATEWAY6}"]),
        (0.3, [f"does {NEW_MAC} have {GATEWAY6}"]),
        (0.45, [f"does {NEW_MAC} have {GATEWAY6}"]),
    ]


@pytest.mark.parametrize("address", [str(GATEWAY4), str(GATEWAY6)])
def test_a_check_is_a_unicast_question_as_the_guest_itself_would_ask(address: str):
    one = settled("virtual")
    is_ipv4 = address == str(GATEWAY4)
    [question] = asked(one.hears(arp(address, NEW_MAC) if is_ipv4 else na(address, NEW_MAC)))
    assert mac_text(question.frame[:6]) == OLD_MAC
    assert mac_text(question.frame[6:12]) == MAC
    if is_ipv4:
        assert question.frame[6:] == vector("arp-kernel-request")[6:]
    else:
        packet = spoken(question.frame)
        assert (packet.src, packet.dst) == (guest().ipv6[0].ip, GATEWAY6)
        assert packet.payload[8:] == GATEWAY6.packed + lladdr(1, MAC)


@pytest.mark.parametrize("kind", ["virtual", "eui64", "pod"])
@pytest.mark.parametrize(
    "forged",
    [arp(str(GATEWAY4), NEW_MAC), na(str(GATEWAY6), NEW_MAC, 0xA0), na(OLD_LL, NEW_MAC, 0xA0),
     na(POD_LL, NEW_MAC, 0xA0)],
    ids=["ARP", "NA of the global address", "NA of the EUI-64 address", "NA of Calico's"],
)  # fmt: skip
def test_a_forged_claim_tells_the_guest_nothing_while_the_old_mac_answers(kind: str, forged: bytes):
    one = settled(kind)
    before = guest_input.router(one.state)
    one.stations = {OLD_MAC: {*GATEWAYS, OLD_LL}, NEW_MAC: {*GATEWAYS, OLD_LL}}
    actions = one.hears(forged) + one.run(60)
    assert [one for one in actions if isinstance(one, Exchange) and one.frame] == []
    assert guest_input.router(one.state) == before
    named = [one.note for one in actions if isinstance(one, Exchange) and one.warning]
    assert len(named) == len(verified(actions))
    assert all(f"{NEW_MAC} claims " in note for note in named)


def test_a_move_is_undone_when_the_old_mac_speaks_again():
    one = moves("virtual")
    one.hears(vector("na-kernel-moved"))
    one.run(1)
    assert guest_input.gateways(one.state) == ((GATEWAY4, NEW_MAC), (GATEWAY6, NEW_MAC))
    one.stations |= {OLD_MAC: GATEWAYS}
    actions = one.hears(na(str(GATEWAY6), OLD_MAC)) + one.run(2)
    assert dict(guest_input.gateways(one.state))[GATEWAY6] == OLD_MAC
    assert mac_text(spoken(replies(actions, "NA")[0].frame).payload[-6:]) == OLD_MAC
    # Whoever had it meanwhile is a newcomer now, and the old MAC answers.
    assert replies(one.hears(na(str(GATEWAY6), NEW_MAC)) + one.run(10), "NA") == []


def test_the_old_mac_that_speaks_again_is_believed_by_its_answer_only():
    one = moves("virtual")
    one.hears(vector("na-kernel-moved"))
    one.run(1)
    assert replies(one.hears(na(str(GATEWAY6), OLD_MAC)) + one.run(10), "NA") == []


def test_two_macs_in_turn_are_told_once_a_second():
    one = settled("virtual")
    del one.log[:]
    for number in range(100):
        mac, other = (OLD_MAC, NEW_MAC)[:: 1 if number % 2 else -1]
        one.stations = {mac: GATEWAYS, other: set()}
        one.hears(na(str(GATEWAY6), mac, 0xA0))
        one.hears(arp(str(GATEWAY4), mac))
        one.run(0.1)
    actions = [action for _, action in one.log]
    assert len(replies(actions, "NA")) <= 10
    assert len(replies(actions, "ARP")) <= 10


def test_an_eui64_router_that_moves_keeps_working_until_the_next_is_decided():
    one = moves("eui64", NEW_LL)
    actions = one.hears(vector("na-kernel-moved")) + one.run(0.35)
    [told] = replies(actions, "NA")
    assert spoken(told.frame).payload[8:] == IPv6Address(OLD_LL).packed + lladdr(2, NEW_MAC)
    assert sources(actions + one.run(1)) == [(NEW_LL, 65535), (OLD_LL, 0)]


def test_an_eui64_router_whose_successor_does_not_answer_becomes_virtual():
    one = moves("eui64")
    assert sources(one.hears(vector("na-kernel-moved")) + one.run(1)) == [
        (VIRTUAL, 65535),
        (OLD_LL, 0),
    ]


@pytest.mark.parametrize(
    "announced",
    [
        ["na-kernel-moved-link-local", "na-kernel-moved"],
        ["na-kernel-moved", "na-kernel-moved-link-local"],
        ["na-kernel-moved"],
    ],
    ids=["link-local first", "global first", "global only"],
)
def test_an_eui64_router_that_takes_its_address_along_stays(announced: list[str]):
    one = moves("eui64", OLD_LL)
    for name in announced:
        one.hears(vector(name))
    one.run(60)
    assert (VIRTUAL, 65535) not in sources([action for _, action in one.log])
    expected = Router(IPv6Address(OLD_LL), NEW_MAC, "eui64")
    assert guest_input.router(one.state) == expected


@pytest.mark.parametrize("kind", ["virtual", "eui64", "pod"])
def test_an_ipv4_gateway_that_moves_is_announced_by_gratuitous_arp(kind: str):
    one = settled(kind)
    one.stations = {NEW_MAC: {str(GATEWAY4)}, OLD_MAC: {str(GATEWAY6), OLD_LL, POD_LL}}
    actions = one.hears(vector("arp-kernel-moved")) + one.run(2)
    [told] = replies(actions, "ARP")
    assert told.frame == vector("arp-kernel-moved")
    assert replies(actions, "RA") == []


def test_a_move_seen_in_ipv4_is_looked_for_in_ipv6():
    one = moves("virtual")
    actions = one.hears(vector("arp-kernel-moved")) + one.run(1)
    assert f"does {OLD_MAC} have {GATEWAY6}" in verified(actions)
    assert replies(actions, "NA")


def test_a_storm_of_claims_costs_a_check_per_second_and_tells_nothing():
    one = settled("eui64")
    one.stations = {OLD_MAC: {*GATEWAYS, OLD_LL}}
    del one.log[:]
    for number in range(1000):
        mac = f"52:54:00:fe:{number >> 8:02x}:{number & 255:02x}"
        for address in (str(GATEWAY6), OLD_LL):
            one.hears(na(address, mac, 0xA0))
        one.hears(arp(str(GATEWAY4), mac))
        one.run(0.01)
    actions = [action for _, action in one.log]
    assert len(asked(actions)) <= 3 * 11
    assert not any(isinstance(one, Exchange) and one.frame for one in actions)


@pytest.mark.parametrize("address", [str(GATEWAY4), str(GATEWAY6)])
def test_a_permanent_neighbour_is_neither_asked_for_nor_moved(address: str):
    known = ((GATEWAY4, OLD_MAC), (GATEWAY6, OLD_MAC))
    one = Clocked(guest(permanent_neighbors=known))
    one.says(vector("rs-kernel"))
    one.run(60)
    claims = arp(address, NEW_MAC) if address == str(GATEWAY4) else na(address, NEW_MAC, 0xA0)
    one.hears(claims)
    one.run(60)
    questions = asked([action for _, action in one.log])
    assert not any(address in question.note for question in questions)
    places = (one.state.gateway4, one.state.gateway6)
    assert [place and (place.address, place.lladdr) for place in places] == list(known)
    assert guest_input.gateways(one.state) == (), "a claim would wake `serve` for nothing"


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
