"""ARP for the DHCPv4 server of a NIC without a gateway: its requests, and nothing else."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from binding.serve.responder import Responder
from guest.ethernet import mac_bytes
from guest.network import OUR_MAC
from ra import arp
from tests.ra.nd_wire import GATEWAY4, MAC, NEW_MAC, guest, route

SERVER = IPv4Address("192.0.0.8")
ALONE = guest(routes=(route("10.0.0.0/8"),))
AUTO = replace(ALONE, provider="auto", nic="eth0-nic")
MINE = ALONE.ipv4[0].ip


def frame(
    operation: int = 1, sender: str = MAC, source: IPv4Address = MINE, target: IPv4Address = SERVER
) -> bytes:
    """Return an Ethernet frame with ARP (RFC 826) from the guest's MAC to everybody."""
    head = mac_bytes("ff:ff:ff:ff:ff:ff") + mac_bytes(MAC) + b"\x08\x06"
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + fixed + mac_bytes(sender) + source.packed + bytes(6) + target.packed


def test_a_request_for_the_server_is_answered_to_the_byte():
    output = Responder(ALONE, 0.0).from_guest(frame(), 1.0)
    us, them = mac_bytes(OUR_MAC), mac_bytes(MAC)
    body = bytes.fromhex("0001 0800 06 04 0002") + us + SERVER.packed + them + MINE.packed
    assert output.tap == (them + us + b"\x08\x06" + body,)
    assert not output.nic
    assert [(one.request, one.reply) for one in output.exchanges] == [("ARP request", "ARP reply")]


def test_padding_to_the_shortest_frame_changes_nothing():
    assert Responder(ALONE, 0.0).from_guest(frame() + bytes(18), 1.0).tap


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(frame(source=IPv4Address(0)), id="a probe"),
        pytest.param(frame(source=SERVER), id="an announcement"),
        pytest.param(frame(operation=2), id="a reply"),
        pytest.param(frame(target=IPv4Address("192.0.0.9")), id="for somebody else"),
        pytest.param(frame(sender=NEW_MAC), id="for another machine"),
        pytest.param(frame()[:6] + mac_bytes(NEW_MAC) + frame()[12:], id="from another machine"),
        pytest.param(frame()[:41], id="cut short"),
        pytest.param(frame()[:18] + b"\x08" + frame()[19:], id="of other hardware"),
    ],
)
def test_nothing_else_is_answered(asked: bytes):
    assert arp.answer(asked, MAC, {SERVER: OUR_MAC}) is None
    one = Responder(ALONE, 0.0)
    assert not one.from_guest(asked, 1.0).tap
    assert not one.counters


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(guest(), id="a gateway has the server's address"),
        pytest.param(guest(routes=(route("10.0.0.0/8", str(GATEWAY4)),)), id="not the default one"),
        pytest.param(replace(ALONE, ipv4_mode="off"), id="IPv4 is off"),
        pytest.param(AUTO, id="it is not known who serves"),
        pytest.param(replace(ALONE, provider="kube-ovn"), id="Kube-OVN serves"),
    ],
)
def test_a_guest_of_another_server_gets_no_answer(other):
    assert not Responder(other, 0.0).from_guest(frame(), 1.0).tap


def test_who_stands_in_can_answer_it_again():
    one = Responder(ALONE, 0.0)
    one.appear(0.5)
    [answer] = one.from_guest(frame(), 1.0).tap
    while (at := one.wake_at) is not None and at < 30:
        one.due(at)
    [kept] = one.handover(30.0).repeats
    assert (kept.request, kept.tap) == (frame(), (answer,))
    assert kept.wakes, "a renewal will follow"
