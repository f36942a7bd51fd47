"""Which solicitations of a guest are answered, and which get silence."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from guest.frame import parse
from guest.network import OUR_MAC
from ra.state import Solicit
from tests.ra.nd_wire import (
    GATEWAY6,
    GUEST_LL,
    MAC,
    OLD_MAC,
    VIRTUAL,
    Clocked,
    guest,
    lladdr,
    nd,
    ns,
    ra,
    replies,
    route,
    rs,
    spoken,
    vector,
    vectors,
)

KNOWN = ((GATEWAY6, OLD_MAC),)
CALICO = (route("::/0", "fe80::ecee:eeff:feee:eeee"),)
SOLICITED, UNSOLICITED = 0xE0, 0xA0  # R and O, with and without S


def decided(**changes) -> Clocked:
    """Return a session that knows its router, at rest."""
    one = Clocked(guest(**{"routes": CALICO, **changes}))
    one.stirs()
    one.run(60)
    return one


@pytest.mark.parametrize("name", vectors("rs-"))
def test_a_real_client_is_answered_by_unicast(name: str):
    [answer] = decided().says(vector(name))
    assert (answer.request, answer.reply) == ("RS", "RA")
    advert = ra(answer.frame)
    assert advert.packet.dst == IPv6Address(GUEST_LL)
    assert advert.packet.dst_mac == MAC
    assert advert.packet.src == IPv6Address("fe80::ecee:eeff:feee:eeee")


@pytest.mark.parametrize("name", vectors(""))
def test_a_truncated_twin_gets_silence_at_any_length(name: str):
    frame, one = vector(name), decided()
    for end in range(len(frame)):
        assert parse(frame[:end]) is None
        assert one.hears(frame[:end]) == []


def test_an_rs_from_the_unspecified_address_is_answered_to_all_nodes_at_the_guests_mac():
    [answer] = decided().says(nd(rs(), src="::"))
    packet = spoken(answer.frame)
    assert (packet.dst, packet.dst_mac) == (IPv6Address("ff02::1"), MAC)


@pytest.mark.parametrize(
    "frame, why",
    [
        (nd(rs(), hop_limit=254), "hop limit 254"),
        (nd(rs(code=1)), "ICMP code 1"),
        (nd(rs()[:4]), "too short"),
        (nd(rs(b"\x01\x00" + bytes(6))), "broken options"),
        (nd(rs(b"\x01\x02" + bytes(6))), "broken options"),
        (nd(rs(b"\x01")), "broken options"),
        (nd(rs(lladdr(1, MAC)), src="::"), "source :: with a link-layer address"),
        (nd(rs(), src="ff02::1"), "multicast source"),
        (nd(rs(), src_mac=OLD_MAC), f"from another MAC, {OLD_MAC}"),
    ],
)
def test_an_invalid_rs_gets_silence_and_a_reason(frame: bytes, why: str):
    [outcome] = decided().says(frame)
    assert (outcome.request, outcome.reply, outcome.frame) == ("RS", "", b"")
    assert outcome.note == why


def test_an_rs_with_a_wrong_checksum_is_no_packet_at_all():
    honest = vector("rs-kernel")
    wrong = honest[:56] + bytes([honest[56] ^ 1]) + honest[57:]
    assert parse(honest) is not None
    assert parse(wrong) is None


def test_an_invalid_rs_does_not_wake_a_guest():
    one = Clocked(guest())
    one.says(nd(rs(), hop_limit=1))
    assert not one.state.active


def test_unknown_options_of_an_rs_are_ignored():
    assert replies(decided().says(nd(rs(b"\xfe\x02" + bytes(14)))), "RA")


@pytest.mark.parametrize("changes", [{"ipv6": ()}, {"ipv6_mode": "off"}])
def test_without_ipv6_there_is_no_ra_and_no_na(changes: dict):
    one = Clocked(guest(gateway_lladdrs=KNOWN, **changes))
    assert not replies(one.says(nd(rs())), "RA")
    assert one.says(nd(ns(), dst=VIRTUAL)) == []
    one.run(10_000)
    assert not replies([action for _, action in one.log], "RA")


@pytest.mark.parametrize("name", ["ns-kernel-multicast", "ns-kernel-unicast"])
def test_the_virtual_router_answers_the_kernel_with_the_gateways_mac(name: str):
    one = Clocked(guest(gateway_lladdrs=KNOWN))
    one.says(vector("rs-kernel"))
    one.run(60)
    [answer] = replies(one.says(vector(name)), "NA")
    packet = spoken(answer.frame)
    assert (packet.src, packet.dst) == (IPv6Address(VIRTUAL), IPv6Address(GUEST_LL))
    assert (packet.src_mac, packet.dst_mac) == (OLD_MAC, MAC)
    assert packet.payload[4] == SOLICITED
    assert packet.payload[8:24] == IPv6Address(VIRTUAL).packed
    assert packet.payload[24:] == lladdr(2, OLD_MAC)


def test_the_virtual_routers_address_is_defended_against_dad():
    one = Clocked(guest(gateway_lladdrs=KNOWN))
    one.run(1)
    [answer] = replies(one.says(vector("ns-kernel-dad")), "NA")
    packet = spoken(answer.frame)
    assert (packet.dst, packet.dst_mac) == (IPv6Address("ff02::1"), "33:33:00:00:00:01")
    assert packet.payload[4] == UNSOLICITED
    assert answer.warning


def test_the_virtual_routers_address_is_defended_before_a_gateway_is_known():
    [answer] = replies(Clocked(guest()).says(vector("ns-kernel-dad")), "NA")
    assert spoken(answer.frame).payload[24:] == lladdr(2, OUR_MAC)


GROUP = "ff02::1:ff5b:1d9e"


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(vector("ns-kernel-own-dad"), id="the guest's own DAD"),
        pytest.param(nd(ns(str(GATEWAY6)), dst="ff02::1:ff00:1"), id="for the gateway"),
        pytest.param(nd(ns(), dst=GROUP, hop_limit=254), id="hop limit 254"),
        pytest.param(nd(ns(code=1), dst=GROUP), id="code 1"),
        pytest.param(nd(ns()[:23], dst=GROUP), id="too short"),
        pytest.param(nd(ns(options=b"\1\0" + bytes(6)), dst=GROUP), id="zero-length option"),
        pytest.param(nd(ns(), dst="ff02::1"), id="to all nodes"),
        pytest.param(nd(ns("ff02::1"), dst="ff02::1"), id="multicast target"),
        pytest.param(nd(ns(), src="ff02::9", dst=GROUP), id="multicast source"),
        pytest.param(nd(ns(), src="::", dst=VIRTUAL), id="DAD by unicast"),
        pytest.param(nd(ns(options=lladdr(1, MAC)), src="::", dst=GROUP), id="DAD with SLLA"),
        pytest.param(nd(ns(), dst=GROUP, src_mac=OLD_MAC), id="another MAC"),
    ],
)
def test_an_ns_that_is_not_ours_to_answer_gets_silence(frame: bytes):
    one = Clocked(guest(gateway_lladdrs=KNOWN))
    one.stirs()
    one.run(60)
    assert one.says(frame) == []


@pytest.mark.parametrize("kind", [0, 128, 134, 136, 137, 143, 255])
def test_other_icmpv6_of_the_guest_gets_silence(kind: int):
    assert decided().says(nd(bytes([kind]) + bytes(31))) == []


def test_an_ns_waits_for_the_gateways_mac():
    one = Clocked(guest())
    one.stirs()
    one.run(10)
    [waits, question] = one.says(vector("ns-kernel-multicast"))
    assert (waits.request, waits.reply) == ("NS", "")
    assert isinstance(question, Solicit)
    assert replies(one.hears(vector("na-kernel-solicited")), "NA")
