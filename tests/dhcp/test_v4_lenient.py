"""Requests that dnsmasq and Kea answer though they are not perfect, and those with two meanings."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from dhcp import v4
from tests.dhcp.v4_wire import (
    ANY,
    DISCOVER,
    FLAT,
    INFORM,
    RELEASE,
    REQUEST,
    ask,
    bootp,
    packet,
    prl,
    refused,
    seen,
    silent,
)

# The pod of the reported frames: 10.244.1.7, its gateway and server 10.244.1.1.
GATEWAY, OTHER = IPv4Address("10.244.1.1"), IPv4Address("10.244.1.9")
S, A = "36040af40101", "32040af40107"
B = "32040af40109"


def said(options, guest=FLAT, **fields):
    """The answer to these octets behind the cookie."""
    exchange = v4.answer(packet(bootp(end=bytes.fromhex(options), **fields)), guest)
    assert exchange is not None
    return f"{exchange.reply} {seen(exchange).yiaddr}" if exchange.frame else exchange.note


OFFERED, LEASED = "OFFER 10.244.1.7", "ACK 10.244.1.7"
READ = {
    "networkd with a SendOption=50 beside its own": (f"350103{S}{A}{A}ff", LEASED),
    "two requested addresses": (f"350103{S}{A}{B}ff", LEASED),
    "two requested addresses, the first is cut": (f"350103{S}32030af401{A}ff", LEASED),
    "two requested addresses, the second is cut": (f"350103{S}{A}32030af401ff", LEASED),
    "its server twice": (f"350103{S}{A}{S}ff", LEASED),
    "its server after one of 5 octets": (f"35010336050af4010101{S}{A}ff", LEASED),
    "its type twice": ("350101350101ff", OFFERED),
    "its type after one of 2 octets": ("35020101350101ff", OFFERED),
    "its size twice": ("350101390205dc39020240ff", OFFERED),
    "its size in one octet": ("3501013901ffff", OFFERED),
    "a requested address of 3 octets in a DISCOVER": ("35010132030af401ff", OFFERED),
    "a server of 5 octets in a DISCOVER": ("35010136050af4010101ff", OFFERED),
    "rapid commit twice": ("35010150005000ff", LEASED),
    "rapid commit with a value": ("350101500101ff", OFFERED),
    "no end": ("350101370a0103060c0f1a1c2a7779", OFFERED),
    "no end, padded": ("350101370a0103060c0f1a1c2a7779" + "00" * 40, OFFERED),
    "octets behind its end": ("350101ff3501030c", OFFERED),
    "a tail that runs over": ("3501010c20766d31", OFFERED),
    "a tail without a length": ("3501010c", OFFERED),
    "a rapid commit that runs over": ("3501015005", OFFERED),
    "overload 4": ("350101340104ff", OFFERED),
    "overload of two octets": ("35010134020101ff", OFFERED),
}


@pytest.mark.parametrize(("options", "answer"), READ.values(), ids=READ)
def test_a_request_with_one_meaning_is_answered(options, answer):
    assert said(options) == answer


def test_fields_that_cannot_be_read_to_their_end_keep_what_came_before():
    garbage = bytes.fromhex("3204") + FLAT.ipv4[0].ip.packed + b"\x0c\xf0a"
    assert said(f"350103{S}340101ff", file=garbage) == LEASED
    assert said("350101340102ff", sname=b"") == OFFERED


def test_the_first_client_identifier_is_the_one_that_is_echoed():
    """networkd drops an answer that does not repeat its own."""
    ids = (61, b""), (61, b"\x01abcdef"), (61, b"\x00more")
    assert seen(ask(DISCOVER, *ids, guest=FLAT)).options[61] == b"\x01abcdef"


def test_the_first_vendor_class_counts():
    http = (60, b"HTTPClient"), (60, b"PXEClient")
    guest = replace(FLAT, boot=replace(FLAT.boot, file="http://10.0.0.80/x.efi"))
    assert 60 in seen(ask(DISCOVER, prl(60), *http, guest=guest)).options


REFUSED = {
    "message type 0": ("350100ff", "message type (53) 0x00, which no client sends"),
    "message type OFFER": ("350102ff", "message type (53) 0x02"),
    "message type FORCERENEW": ("350109ff", "message type (53) 0x09"),
    "message type of 0 octets": ("3500ff", "message type (53) 0x, "),
    "message type of 2 octets": ("35020101ff", "message type (53) 0x0101"),
    "a message type that runs over": ("3502", "message type (53) 0x, "),
    "two message types": (f"350103{S}{A}350101ff", "message type (53) 0x0301"),
    "two servers": (f"350103{S}36040af40102{A}ff", "REQUEST: server identifier (54) of 8 octets"),
    "a server of 5 octets": (f"35010336050af4010101{A}ff", "REQUEST: server identifier (54) of 5"),
    "a server that runs over": (f"350103{A}36040af4", "REQUEST: server identifier (54) of 0 oct"),
    "an address of 3 octets": (f"350103{S}32030af401ff", "REQUEST: requested address (50) of 3"),
    "an address that runs over": (f"350103{S}32040af4", "REQUEST: requested address (50) of 0"),
    "a DECLINE of half an address": (f"350104{S}32020af4ff", "DECLINE: requested address (50)"),
    "a RELEASE to half a server": ("35010736020af4ff", "RELEASE: server identifier (54) of 2"),
}


@pytest.mark.parametrize(("options", "why"), REFUSED.values(), ids=REFUSED)
def test_a_request_with_two_meanings_is_refused_and_named(options, why):
    exchange = v4.answer(packet(bootp(end=bytes.fromhex(options))), FLAT)
    assert refused(exchange, why)


THERE = {"src": FLAT.ipv4[0].ip, "dst": OTHER, "dst_mac": "02:00:00:00:00:09"}


@pytest.mark.parametrize(
    ("kind", "options", "fields"),
    [
        pytest.param(DISCOVER, (), {}, id="DISCOVER"),
        pytest.param(INFORM, (), {"ciaddr": FLAT.ipv4[0].ip}, id="INFORM"),
        pytest.param(REQUEST, ((50, FLAT.ipv4[0].ip.packed),), {}, id="INIT-REBOOT"),
        pytest.param(RELEASE, (), {"ciaddr": FLAT.ipv4[0].ip}, id="RELEASE without server"),
    ],
)
def test_a_request_to_another_host_is_not_ours(kind, options, fields):
    exchange = ask(kind, *options, guest=FLAT, **fields, **THERE)
    assert silent(exchange, "sent to another host, 10.244.1.9")
    assert exchange.request != "malformed"


def test_a_renewal_at_another_host_is_ours():
    """The lease may be of a server before the migration: nobody else will answer."""
    exchange = ask(REQUEST, guest=FLAT, ciaddr=FLAT.ipv4[0].ip, **THERE)
    assert (exchange.reply, exchange.note) == ("ACK", "10.244.1.7, RENEWING")


@pytest.mark.parametrize(
    "to",
    [
        pytest.param({"dst": GATEWAY, "dst_mac": "02:00:00:00:00:01"}, id="our identifier"),
        pytest.param({"dst_mac": "02:00:00:00:00:01"}, id="all, by another MAC"),
        pytest.param({"dst": IPv4Address("10.244.1.255")}, id="the subnet, by broadcast"),
    ],
)
def test_a_request_to_us_or_to_all_is_ours(to):
    assert seen(ask(DISCOVER, guest=FLAT, **to))
    assert seen(ask(INFORM, guest=FLAT, ciaddr=FLAT.ipv4[0].ip, **to))


WAIT = 1800
V6ONLY = replace(FLAT, ipv6_only=WAIT)
BARE = replace(V6ONLY, ipv4=(), routes=())
RAPID = (80, b"")


def test_who_may_do_without_ipv4_is_not_committed_to_it():
    """networkd 257 keeps the lease of a rapid commit and loses option 108 (RFC 8925)."""
    exchange = ask(DISCOVER, RAPID, prl(1, 108), guest=V6ONLY)
    assert exchange.note == "10.244.1.7, IPv6 preferred"
    reply = seen(exchange)
    assert (reply.options[53], reply.options[108]) == (b"\x02", WAIT.to_bytes(4))
    assert 80 not in reply.options


@pytest.mark.parametrize(
    ("guest", "asked"), [(FLAT, prl(1, 108)), (V6ONLY, prl(1))], ids=["not set", "not asked for"]
)
def test_who_needs_ipv4_is_committed_to_it(guest, asked):
    reply = seen(ask(DISCOVER, RAPID, asked, guest=guest))
    assert reply.options[53] == b"\x05"
    assert {80} <= reply.options.keys()
    assert 108 not in reply.options


@pytest.mark.parametrize("options", [(), (RAPID,)], ids=["four messages", "two messages"])
def test_a_pod_without_ipv4_offers_no_address_for_the_wait(options):
    """RFC 8925 section 3.3."""
    exchange = ask(DISCOVER, *options, prl(1, 3, 108), guest=BARE)
    reply = seen(exchange)
    assert (exchange.reply, exchange.note) == ("OFFER", "no address, IPv6 only")
    assert (reply.yiaddr, reply.dst, reply.dst_mac) == (
        ANY, IPv4Address("255.255.255.255"), "ff:ff:ff:ff:ff:ff",
    )  # fmt: skip
    assert reply.options[108] == WAIT.to_bytes(4)
    assert reply.options.keys() == {53, 54, 51, 108}


def test_a_pod_without_ipv4_tells_a_client_that_asks_to_make_no_address_of_its_own():
    """Auto-Configure, RFC 2563: 0 is "do not"."""
    exchange = ask(DISCOVER, (116, b"\1"), prl(1, 108), guest=BARE)
    assert seen(exchange).options[116] == b"\0"
    assert 116 not in seen(ask(DISCOVER, (116, b"\1"), prl(1, 108), guest=V6ONLY)).options


@pytest.mark.parametrize(
    ("kind", "asked", "guest"),
    [
        pytest.param(DISCOVER, prl(1), BARE, id="108 not asked for"),
        pytest.param(DISCOVER, prl(108), replace(BARE, ipv6_only=None), id="108 not set"),
        pytest.param(REQUEST, prl(108), BARE, id="REQUEST"),
    ],
)
def test_a_pod_without_ipv4_is_silent_else(kind, asked, guest):
    assert silent(ask(kind, asked, guest=guest), "the pod has no IPv4 address")


def test_ipv4_that_is_off_offers_nothing():
    exchange = ask(DISCOVER, prl(108), guest=replace(BARE, ipv4_mode="off"))
    assert silent(exchange, "IPv4 is off")
