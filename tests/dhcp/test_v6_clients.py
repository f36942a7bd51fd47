"""Requests of real clients and the whole of what each of them is told.

The server identifier in the stored requests was ours when they were captured: that
they are still answered shows that it never changes.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Interface, IPv6Network

import pytest

from dhcp import v6
from guest.frame import parse
from guest.network import OUR_LINK_LOCAL, OUR_MAC
from tests.dhcp.v6_wire import GUEST, spoken, vector, vectors, walk

DNS = "23 fd770000000000000000000000000053"
SEARCH = "24 07636c7573746572056c6f63616c000373766307636c7573746572056c6f63616c00"
SNTP = "31 fd770000000000000000000000000123"
NTP = "56 00010010fd770000000000000000000000000123"
SOL = "82 00000e10"
INF = "83 00000e10"
NAME = "39 0403766d31076578616d706c65036f726700"
NAME_OVERRIDDEN = "39 0603766d31076578616d706c65036f726700"
PREFER = "7 ff"

ROUTER = replace(GUEST, delegated=(IPv6Network("fd64:7::/56"), IPv6Network("fd64:8::/60")))


def given(iaid: str) -> str:
    return f"IA_NA {iaid} T1 inf T2 inf: fd77::42 inf/inf"


ISC, CPCD, ND, NM, W, U = "0x7742", "0x7742", "0x9b0dd19e", "0x2b506735", "0x7020000", "0x3f2a91c7"
PXE = "0xb5646e86"
# It wishes for a /60 in IA_PD 1 and for a /56 in IA_PD 2.
ODHCP6C = [
    *(given("0x1"), "IA_PD 0x1 T1 inf T2 inf: fd64:8::/60 inf/inf"),
    *("IA_PD 0x2 T1 inf T2 inf: fd64:7::/56 inf/inf", DNS, SEARCH, NTP, SNTP),
]
EXPECTED = {
    "dhclient-solicit": [PREFER, given(ISC), DNS, SEARCH, NAME_OVERRIDDEN, SNTP],
    "dhclient-request": [given(ISC), DNS, SEARCH, NAME_OVERRIDDEN, SNTP],
    "dhclient-renew": [given(ISC), DNS, SEARCH, NAME_OVERRIDDEN, SNTP],
    "dhclient-rebind": [given(ISC), DNS, SEARCH, NAME_OVERRIDDEN, SNTP],
    "dhclient-confirm": ["Success"],
    "dhclient-release": ["Success"],
    "dhclient-information-request": [DNS, SEARCH],
    "dhcpcd-solicit": [PREFER, given(CPCD), DNS, SEARCH, NAME_OVERRIDDEN, SOL, INF],
    "dhcpcd-request": [given(CPCD), DNS, SEARCH, NAME_OVERRIDDEN, SOL, INF],
    "dhcpcd-renew": [given(CPCD), DNS, SEARCH, NAME_OVERRIDDEN, SOL, INF],
    "dhcpcd-rebind": [given(CPCD), DNS, SEARCH, NAME_OVERRIDDEN, SOL, INF],
    "dhcpcd-confirm": ["Success"],
    "dhcpcd-release": ["Success"],
    "dhcpcd-information-request": [DNS, SEARCH, NAME_OVERRIDDEN, SOL, INF],
    "networkd-solicit": [PREFER, given(ND), f"IA_PD {ND}: NoPrefixAvail", DNS, SOL, NTP, SNTP],
    "networkd-solicit-rapid-commit": [
        "14",
        given(ND),
        f"IA_PD {ND}: NoPrefixAvail",
        *(DNS, SOL, NTP, SNTP),
    ],
    "networkd-request": [given(ND), DNS, NTP, SNTP],
    "networkd-renew": [given(ND), DNS, NTP, SNTP],
    "networkd-information-request": [DNS, INF, NTP, SNTP],
    "networkmanager-solicit-rapid-commit": ["14", given(NM), DNS, SEARCH, SOL, NTP, SNTP],
    "networkmanager-renew": [given(NM), DNS, SEARCH, NTP, SNTP],
    "networkmanager-information-request": [DNS, SEARCH, INF, NTP, SNTP],
    "dhcp6c-solicit-two-ias": [PREFER, given("0x0"), "IA_NA 0x7: NoAddrsAvail", DNS, SEARCH, SNTP],
    "dhcp6c-request-two-ias": [given("0x0"), "IA_NA 0x7: NoAddrsAvail", DNS, SEARCH, SNTP],
    "dhcp6c-solicit-rapid-commit-pd": ["14", given("0x0"), "IA_PD 0x1: NoPrefixAvail", DNS],
    "dhcp6c-renew": [given("0x0"), DNS, SEARCH, SNTP],
    "dhcp6c-rebind": [given("0x0"), DNS],
    "dhcp6c-release": ["Success"],
    "dhcp6c-information-request": [DNS],
    "odhcp6c-solicit": [PREFER, *ODHCP6C[:-2], SOL, NTP, SNTP],
    "odhcp6c-request": ODHCP6C,
    "odhcp6c-renew": ODHCP6C,
    "odhcp6c-release": ["Success"],
    "ipxe-solicit": [PREFER, given(PXE), DNS, SEARCH],
    "ipxe-request": [given(PXE), DNS, SEARCH],
    "ipxe-information-request": [DNS, SEARCH],
    "windows-solicit": [PREFER, given(W), DNS, SEARCH, NAME],
    "windows-request": [given(W), DNS, SEARCH, NAME],
    "windows-renew": [given(W), DNS, SEARCH, NAME],
    "windows-confirm": ["Success"],
    "windows-information-request": [DNS, SEARCH],
    "udhcpc6-solicit": ["14", given(U), DNS, SEARCH],
    "udhcpc6-request": [given(U), DNS, SEARCH],
    "udhcpc6-renew": [given(U), DNS, SEARCH],
    "udhcpc6-release": ["Success"],
}


def test_every_stored_request_has_its_expected_answer():
    """A vector that nothing reads proves nothing."""
    assert sorted(EXPECTED) == vectors()


@pytest.mark.parametrize("name", EXPECTED)
def test_client_is_told_exactly(name):
    """The whole reply, read back from its bytes."""
    request = vector(name)
    exchange = v6.answer(request, ROUTER if name.startswith("odhcp6c") else GUEST)
    assert exchange is not None
    header, client_id, server_id, *rest = spoken(exchange)
    asked = dict(reversed(walk(request.payload[4:])))
    advertised = "-solicit" in name and "14" not in rest
    assert header == f"{'ADVERTISE' if advertised else 'REPLY'} {request.payload[1:4].hex()}"
    assert exchange.reply == header.split()[0]
    assert client_id == f"1 {asked[1].hex()}"
    assert server_id == f"2 {v6.server_duid(GUEST).hex()}"
    assert rest == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_reply_goes_to_the_client_and_comes_from_us(name):
    """From our MAC, link-local address and port 547 to where the request came from."""
    request = vector(name)
    exchange = v6.answer(request, GUEST)
    assert exchange is not None
    reply = parse(exchange.frame)
    assert reply is not None
    assert (reply.src_mac, reply.dst_mac) == (OUR_MAC, GUEST.mac)
    assert (reply.src, reply.dst) == (OUR_LINK_LOCAL, request.src)
    assert (reply.sport, reply.dport, reply.hop_limit) == (547, 546, 64)
    assert not exchange.warning


@pytest.mark.parametrize("name", [name for name in EXPECTED if "renew" in name or "rebind" in name])
def test_renewal_after_the_pod_moved_swaps_the_address(name):
    """The old address comes back with lifetimes 0 beside the new one (row 22)."""
    moved = replace(GUEST, ipv6=(IPv6Interface("fd77::99/128"),))
    exchange = v6.answer(vector(name), moved)
    assert exchange is not None
    (line,) = [line for line in spoken(exchange) if line.startswith("IA_NA")]
    assert line.endswith(" T1 inf T2 inf: fd77::99 inf/inf, fd77::42 0/0")


@pytest.mark.parametrize("name", [name for name in EXPECTED if "confirm" in name])
def test_confirm_after_the_pod_moved_says_not_on_link(name):
    """So that the client asks anew at once instead of keeping a dead address (row 23)."""
    moved = replace(GUEST, ipv6=(IPv6Interface("fd77::99/128"),))
    exchange = v6.answer(vector(name), moved)
    assert exchange is not None
    assert spoken(exchange)[-1] == "NotOnLink"
    assert exchange.note == "NotOnLink: fd77::42"


@pytest.mark.parametrize("name", vectors())
def test_truncated_request_is_read_as_far_as_its_options_are_whole(name):
    request = vector(name)
    whole = request.payload
    ends = [4]
    for _, data in walk(whole[4:]):
        ends.append(ends[-1] + 4 + len(data))
    for length in range(4, len(whole)):
        cut = v6.answer(request._replace(payload=whole[:length]), GUEST)
        end = max(end for end in ends if end <= length)
        assert cut == v6.answer(request._replace(payload=whole[:end]), GUEST)
