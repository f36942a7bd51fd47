"""Who serves which family with `provider: auto`: asked before the first boot, or heard later."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path

import pytest

from binding.serve import network_probe, other_servers
from binding.serve.who_serves import Choice
from dhcp import v6
from guest.frame import parse
from guest.network import Route
from tests.dhcp import v4_wire, v6_wire
from tests.samples import BESIDE_OVN

VECTORS = Path(__file__).parents[1] / "vectors" / "ovn"
GUEST = replace(
    BESIDE_OVN,
    provider="auto",
    routes=(Route(IPv4Network("0.0.0.0/0"), IPv4Address("10.16.0.1")),),
)
TARGET = replace(GUEST, migration_target=True)
OFFER, ADVERTISE = (
    other_servers.read(
        parse(bytes.fromhex((VECTORS / f"{name}.hex").read_text().splitlines()[1])), GUEST.mac
    )
    for name in ("offer", "advertise")
)
BOTH, V4, V6, NONE = (frozenset(one) for one in ((4, 6), (4,), (6,), ()))


def searched(choice, *, answers=(), start=0.0):
    """Run the clock until the choice wants nothing more; return (time, frame) of what it sent."""
    sent = []
    while (at := choice.wake_at) is not None:
        sent += [(at - start, frame) for frame in choice.due(at)]
        for answer in answers:
            choice.from_network(answer)
    return sent


def test_a_discover_and_a_solicit_leave_in_the_guests_own_name():
    sent = searched(Choice(GUEST, 0.0), answers=(OFFER, ADVERTISE))
    discover, solicit = (parse(frame) for _, frame in sent)
    assert (discover.src_mac, discover.dst_mac) == (GUEST.mac, "ff:ff:ff:ff:ff:ff")
    assert (str(discover.src), str(discover.dst)) == ("0.0.0.0", "255.255.255.255")
    assert (discover.sport, discover.dport) == (68, 67)
    assert discover.payload[:4] == b"\x01\x01\x06\x00"
    assert discover.payload[28:34].hex(":") == GUEST.mac
    assert discover.payload[236:243] == v4_wire.COOKIE + b"\x35\x01\x01"
    assert (solicit.src_mac, solicit.dst_mac) == (GUEST.mac, "33:33:00:01:00:02")
    # Port security of OVN knows the EUI-64 address of the port's MAC only.
    assert (str(solicit.src), str(solicit.dst)) == ("fe80::200:ff:fe7d:1c07", "ff02::1:2")
    assert (solicit.sport, solicit.dport, solicit.payload[0]) == (546, 547, 1)
    options = dict(v6_wire.walk(solicit.payload[4:]))
    assert options[1].hex() == "00030001" + "0000007d1c07"
    assert int.from_bytes(options[3][:4]) != 0, "OVN takes IAID 0 for no IA_NA"


@pytest.mark.parametrize(
    "answers, ours",
    [((), BOTH), ((OFFER,), V6), ((ADVERTISE,), V4), ((OFFER, ADVERTISE), NONE)],
    ids=["nobody answers", "OVN offers IPv4", "OVN offers IPv6", "OVN offers both"],
)
def test_we_serve_the_families_that_nobody_offers(answers, ours):
    choice = Choice(GUEST, 0.0)
    searched(choice, answers=answers)
    assert choice.ours == ours


def test_three_tries_within_a_second_and_a_half():
    choice = Choice(GUEST, 0.0)
    assert [at for at, _ in searched(choice)] == [0, 0, 0.5, 0.5, 1.0, 1.0]
    choice = Choice(GUEST, 0.0)
    choice.due(0.0), choice.due(0.5), choice.due(1.0)
    assert choice.ours is None
    choice.due(1.499)
    assert choice.ours is None
    choice.due(1.5)
    assert choice.ours == BOTH


def test_a_family_that_is_offered_is_not_asked_for_again():
    sent = searched(Choice(GUEST, 0.0), answers=(OFFER,))
    assert [(at, parse(frame).dport) for at, frame in sent] == [
        (0, 67), (0, 547), (0.5, 547), (1.0, 547),
    ]  # fmt: skip


def test_an_offer_of_another_address_is_not_for_this_guest():
    choice = Choice(GUEST, 0.0)
    searched(choice, answers=(replace(OFFER, addresses=(IPv4Address("10.16.0.99"),)),))
    assert choice.ours == BOTH


def test_an_acknowledgement_is_no_offer():
    state = network_probe.start(GUEST, 0.0)
    assert network_probe.take_offer(state, GUEST, replace(OFFER, kind="ACK")) == state


@pytest.mark.parametrize(
    "guest, ports",
    [
        (replace(GUEST, ipv6=()), {67}),
        (replace(GUEST, ipv4=()), {547}),
        (replace(GUEST, ipv4_mode="off"), {547}),
        (replace(GUEST, ipv6_mode="off"), {67}),
        (replace(GUEST, nic=""), set()),
        (replace(GUEST, ipv4=(), ipv6=()), set()),
    ],
    ids=["IPv4 only", "IPv6 only", "ipv4: off", "ipv6: off", "no pod NIC", "no address"],
)
def test_only_a_family_that_there_is_is_asked_for(guest, ports):
    choice = Choice(guest, 0.0)
    assert {parse(frame).dport for _, frame in searched(choice)} == ports
    assert choice.ours == BOTH


@pytest.mark.parametrize("provider, ours", [("in-pod", BOTH), ("kube-ovn", NONE)])
def test_another_provider_asks_nobody(provider, ours):
    choice = Choice(replace(GUEST, provider=provider), 0.0)
    assert (choice.ours, choice.wake_at) == (ours, None)


def test_what_was_found_out_before_is_not_asked_again():
    choice = Choice(GUEST, 0.0, V4)
    assert (choice.ours, choice.wake_at) == (V4, None)


# On a migration target


def renewing(server):
    payload = v4_wire.bootp(
        (53, b"\x03"), ciaddr=IPv4Address("10.16.0.7"), chaddr=v4_wire.mac(GUEST.mac)
    )
    ends = {"src": IPv4Address("10.16.0.7"), "dst": IPv4Address(server)}
    return v4_wire.packet(payload, src_mac=GUEST.mac, **ends)


def selecting(server):
    payload = v4_wire.bootp(
        (53, b"\x03"),
        (50, IPv4Address("10.16.0.7").packed),
        (54, IPv4Address(server).packed),
        chaddr=v4_wire.mac(GUEST.mac),
    )
    return v4_wire.packet(payload, src_mac=GUEST.mac)


def rebinding():
    payload = v4_wire.bootp(
        (53, b"\x03"), ciaddr=IPv4Address("10.16.0.7"), chaddr=v4_wire.mac(GUEST.mac)
    )
    return v4_wire.packet(payload, src_mac=GUEST.mac, src=IPv4Address("10.16.0.7"))


def renew6(duid):
    options = (v6_wire.CLIENT_ID, v6_wire.option(2, duid), v6_wire.ia_na(1, "fd00:10:16::7"))
    payload = v6_wire.message(v6_wire.RENEW, *options)
    return v6_wire.packet(payload, src_mac=GUEST.mac, src=IPv6Address("fe80::200:ff:fe7d:1c07"))


OVNS_DUID = bytes.fromhex("00030001" + "0000003c770e")
OUR_SERVER = "10.16.0.1"
OVNS_SERVER = "169.254.0.254"


def test_a_guest_that_arrives_by_migration_is_not_spoken_for_until_it_speaks():
    choice = Choice(TARGET, 0.0)
    assert (choice.ours, choice.wake_at, choice.due(1000.0)) == (None, None, ())
    choice.begin(1000.0)
    assert [at for at, _ in searched(choice, start=1000.0)] == [0, 0, 0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    "packets, ours",
    [
        ((renewing(OVNS_SERVER), renew6(OVNS_DUID)), NONE),
        ((renewing(OUR_SERVER), renew6(v6.server_duid(TARGET))), BOTH),
        ((selecting(OVNS_SERVER), renew6(v6.server_duid(TARGET))), V6),
        ((selecting(OUR_SERVER), renew6(OVNS_DUID)), V4),
    ],
    ids=["OVN both", "we both", "OVN IPv4, we IPv6", "we IPv4, OVN IPv6"],
)
def test_requests_that_name_their_server_repeat_the_choice_of_the_source(packets, ours):
    choice = Choice(TARGET, 0.0)
    choice.begin(0.0)
    for packet in packets:
        choice.from_guest(packet)
    assert choice.ours == ours
    assert choice.due(0.5) == ()


def test_a_request_that_names_none_leaves_it_to_the_search():
    choice = Choice(TARGET, 0.0)
    choice.begin(0.0)
    choice.from_guest(rebinding())
    searched(choice, answers=(OFFER,))
    assert choice.ours == V6


def test_the_lease_that_a_guest_has_counts_more_than_an_offer():
    """Someone set enableDHCP on the subnet while the guest ran with a lease of ours."""
    choice = Choice(TARGET, 0.0)
    choice.begin(0.0)
    searched(choice, answers=(OFFER, ADVERTISE))
    assert choice.ours == NONE
    choice.from_guest(renewing(OUR_SERVER))
    assert choice.ours == V4


def test_a_name_is_believed_once():
    choice = Choice(TARGET, 0.0)
    choice.begin(0.0)
    for server in (OVNS_SERVER, OUR_SERVER):
        choice.from_guest(selecting(server))
    searched(choice)
    assert choice.ours == V6


def test_a_name_from_another_mac_is_not_believed():
    choice = Choice(TARGET, 0.0)
    choice.begin(0.0)
    choice.from_guest(selecting(OVNS_SERVER)._replace(src_mac="02:00:00:00:00:99"))
    searched(choice)
    assert choice.ours == BOTH


def test_at_the_first_boot_no_name_counts():
    choice = Choice(GUEST, 0.0)
    choice.from_guest(selecting(OVNS_SERVER))
    searched(choice)
    assert choice.ours == BOTH
