"""What the guest is told: by its parameter request list, and by what the pod has."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network

import pytest

from guest.network import Boot, Route
from tests.dhcp.v4_wire import (
    ACK,
    ADDRESS,
    CALICO,
    DISCOVER,
    FLAT,
    INFORM,
    REQUEST,
    SERVER,
    ask,
    domains,
    prl,
    routes,
    seen,
)

MUST = {53, 54, 51, 1}
RICH = replace(
    FLAT,
    domain="example.org",
    ntp=(IPv4Address("10.0.0.123"), IPv6Address("2001:db8::123")),
    dns=(IPv4Address("10.96.0.10"), IPv6Address("fd00::10"), IPv4Address("10.96.0.11")),
    boot=Boot(file="boot.img", server="10.0.0.69"),
    private=((250, b"\x00\xff"), (224, b"site")),
    captive_portal="https://portal.example.org/api",
    ipv6_only=1800,
)
VALUES = {
    1: b"\xff\xff\xff\x00",
    3: bytes([10, 244, 1, 1]),
    6: bytes([10, 96, 0, 10, 10, 96, 0, 11]),
    12: b"vm1",
    15: b"example.org",
    26: b"\x05\xaa",
    28: bytes([10, 244, 1, 255]),
    42: bytes([10, 0, 0, 123]),
    66: b"10.0.0.69",
    67: b"boot.img",
    108: b"\x00\x00\x07\x08",
    114: b"https://portal.example.org/api",
    121: bytes([0, 10, 244, 1, 1]),
    150: bytes([10, 0, 0, 69]),
    224: b"site",
    249: bytes([0, 10, 244, 1, 1]),
    250: b"\x00\xff",
}


@pytest.mark.parametrize(("code", "value"), VALUES.items(), ids=[f"option {c}" for c in VALUES])
def test_asked_alone_comes_alone(code, value):
    reply = seen(ask(DISCOVER, prl(code), guest=RICH))
    assert reply.options.keys() == MUST | {code}
    assert reply.options[code] == value


def test_no_list_gives_the_usual_set_and_what_the_user_added():
    reply = seen(ask(DISCOVER, (57, b"\x05\xdc"), guest=RICH))
    usual = {3, 6, 12, 15, 26, 28, 42, 119, 121}
    assert reply.options.keys() == MUST | usual | {224, 250}


def test_empty_list_counts_as_no_list():
    assert 3 in seen(ask(DISCOVER, prl())).options


@pytest.mark.parametrize("kind", [DISCOVER, REQUEST, INFORM], ids=["OFFER", "ACK", "ACK to INFORM"])
def test_what_is_not_known_is_not_sent_though_everything_is_asked(kind):
    bare = replace(CALICO, routes=(), dns=(), search=(), hostname="")
    address = bare.ipv4[0].ip
    reply = seen(ask(kind, (50, address.packed), prl(*range(1, 255)), ciaddr=address, guest=bare))
    assert reply.options.keys() - MUST == {26}


def test_mtu_below_what_ipv4_needs_is_not_sent():
    assert 26 not in seen(ask(DISCOVER, prl(26), guest=replace(FLAT, mtu=67))).options
    assert seen(ask(DISCOVER, prl(26), guest=replace(FLAT, mtu=68))).options[26] == b"\x00\x44"


@pytest.mark.parametrize("prefix", [31, 32], ids="/{}".format)
def test_broadcast_address_only_where_there_is_one(prefix):
    guest = replace(FLAT, ipv4=(IPv4Interface(f"10.244.1.7/{prefix}"),))
    assert 28 not in seen(ask(DISCOVER, prl(28), guest=guest)).options


def test_search_list_is_rfc_1035_names():
    value = seen(ask(DISCOVER, prl(119))).options[119]
    assert domains(value) == list(CALICO.search)
    assert b"\xc0" in value  # compressed


def test_invalid_search_domain_is_skipped_and_the_others_stay():
    bad = ["", ".", "a..b", "-a.b", "a-.b", "x" * 64 + ".org", "ä.org", "a b", "a\0b"]
    bad += [".".join(["abcdefgh"] * 29)]
    guest = replace(FLAT, search=("good.org", *bad, "_tcp.good.org.", "A" * 63))
    value = seen(ask(DISCOVER, prl(119), guest=guest)).options[119]
    assert domains(value) == ["good.org", "_tcp.good.org", "A" * 63]


def test_search_list_without_a_valid_domain_is_not_sent():
    assert 119 not in seen(ask(DISCOVER, prl(119), guest=replace(FLAT, search=("a..b",)))).options


DEFAULT = Route(IPv4Network("0.0.0.0/0"), IPv4Address("10.244.1.1"))
OFF = IPv4Address("172.16.0.1")
ROUTES = {
    "default via a gateway in the subnet": (
        FLAT, (DEFAULT,), [("0.0.0.0/0", "10.244.1.1")], "10.244.1.1",
    ),
    "host route before an off-subnet gateway": (
        CALICO, CALICO.routes, [("169.254.1.1/32", "0.0.0.0"), ("0.0.0.0/0", "169.254.1.1")],
        "169.254.1.1",
    ),
    "the pod's own host route, moved to the front, once": (
        CALICO, (*CALICO.routes, Route(IPv4Network("169.254.1.1/32"))),
        [("169.254.1.1/32", "0.0.0.0"), ("0.0.0.0/0", "169.254.1.1")], "169.254.1.1",
    ),
    "an on-link prefix that holds the gateway": (
        CALICO, (Route(IPv4Network("10.244.1.0/24")), DEFAULT),
        [("10.244.1.0/24", "0.0.0.0"), ("0.0.0.0/0", "10.244.1.1")], "10.244.1.1",
    ),
    "one host route for a gateway of two routes": (
        FLAT, (Route(IPv4Network("10.0.0.0/8"), OFF), Route(IPv4Network("192.168.0.0/16"), OFF)),
        [("172.16.0.1/32", "0.0.0.0"), ("10.0.0.0/8", "172.16.0.1"),
         ("192.168.0.0/16", "172.16.0.1")], None,
    ),
    "no default where the pod has none": (
        FLAT, (Route(IPv4Network("10.0.0.0/8"), IPv4Address("10.244.1.1")),),
        [("10.0.0.0/8", "10.244.1.1")], None,
    ),
    "an on-link default, with no router": (
        CALICO, (Route(IPv4Network("0.0.0.0/0")),), [("0.0.0.0/0", "0.0.0.0")], None,
    ),
    "a host route for a gateway that only an on-link default reaches": (
        CALICO, (Route(IPv4Network("0.0.0.0/0")), Route(IPv4Network("10.0.0.0/8"), OFF)),
        [("172.16.0.1/32", "0.0.0.0"), ("0.0.0.0/0", "0.0.0.0"), ("10.0.0.0/8", "172.16.0.1")],
        None,
    ),
    "only the IPv4 routes": (
        FLAT, (Route(IPv6Network("::/0"), IPv6Address("fe80::1")), DEFAULT),
        [("0.0.0.0/0", "10.244.1.1")], "10.244.1.1",
    ),
    "a /25 and a /1 in as many octets as they need": (
        FLAT, (Route(IPv4Network("10.1.2.128/25"), IPv4Address("10.244.1.2")),
               Route(IPv4Network("128.0.0.0/1"), IPv4Address("10.244.1.2"))),
        [("10.1.2.128/25", "10.244.1.2"), ("128.0.0.0/1", "10.244.1.2")], None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("guest", "given", "expected", "router"), ROUTES.values(), ids=ROUTES)
def test_routes(guest, given, expected, router):
    reply = seen(ask(DISCOVER, prl(3, 121, 249), guest=replace(guest, routes=given)))
    assert routes(reply.options[121]) == expected
    assert reply.options[249] == reply.options[121]
    assert reply.options.get(3) == (IPv4Address(router).packed if router else None)


def test_a_route_via_ipv6_cannot_be_said_and_is_left_out():
    guest = replace(FLAT, routes=(Route(IPv4Network("0.0.0.0/0"), IPv6Address("fe80::1")),))
    assert not {3, 121} & seen(ask(DISCOVER, prl(3, 121), guest=guest)).options.keys()


def test_no_routes_no_routers():
    assert not {3, 121, 249} & (
        seen(ask(DISCOVER, prl(3, 121, 249), guest=replace(FLAT, routes=()))).options.keys()
    )


def test_108_and_114_are_not_sent_unless_configured():
    assert not {108, 114} & seen(ask(DISCOVER, prl(108, 114), guest=FLAT)).options.keys()


def test_108_of_0_seconds_is_sent():
    guest = replace(FLAT, ipv6_only=0)
    assert seen(ask(DISCOVER, prl(108), guest=guest)).options[108] == bytes(4)


@pytest.mark.parametrize("address", [ADDRESS, IPv4Address("10.244.9.9")], ids=["ours", "static"])
def test_inform_is_never_told_to_do_without_ipv4(address):
    """RFC 8925 section 3.3: there is no lease that the client could give up."""
    guest = replace(CALICO, ipv6_only=300)
    assert 108 not in seen(ask(INFORM, prl(108), ciaddr=address, guest=guest)).options
    assert 108 in seen(ask(DISCOVER, prl(108), guest=guest)).options


def test_a_private_option_cannot_replace_an_official_one():
    guest = replace(FLAT, private=((6, b"\x01\x02\x03\x04"), (255, b"x"), (223, b"x")))
    reply = seen(ask(DISCOVER, prl(6, 223), guest=guest))
    assert reply.options[6] == IPv4Address("10.96.0.10").packed
    assert 223 not in reply.options


def test_the_users_own_249_wins():
    guest = replace(FLAT, private=((249, b"mine"),))
    assert seen(ask(DISCOVER, prl(121, 249), guest=guest)).options[249] == b"mine"


def test_a_split_request_list_counts_whole():
    """RFC 3396: a client may split any option."""
    reply = seen(ask(DISCOVER, prl(3), prl(6), guest=RICH))
    assert reply.options.keys() == MUST | {3, 6}


def test_a_request_list_in_the_overloaded_fields_counts():
    fields = {"file": bytes([55, 1, 6, 255]), "sname": bytes([55, 1, 12, 255])}
    reply = seen(ask(DISCOVER, (52, b"\x03"), prl(3), guest=RICH, **fields))
    assert reply.options.keys() == MUST | {3, 6, 12}


def test_file_and_sname_are_not_options_without_overload():
    reply = seen(ask(DISCOVER, prl(3), guest=RICH, file=bytes([55, 1, 6, 255])))
    assert reply.options.keys() == MUST | {3}


def test_an_ack_says_what_the_offer_said():
    asked = prl(*VALUES), (57, b"\x05\xdc")
    offer = seen(ask(DISCOVER, *asked, guest=RICH)).options
    wants = (50, RICH.ipv4[0].ip.packed), (54, RICH.default4.gateway.packed)
    ack = seen(ask(REQUEST, *wants, *asked, guest=RICH)).options
    assert ack == offer | {53: bytes([ACK])}
    assert SERVER.packed != ack[54]
