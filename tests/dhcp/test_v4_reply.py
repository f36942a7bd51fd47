"""What every reply looks like, and where it goes (RFC 2131 sections 4.1 and 4.3.1)."""

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address

import pytest

from dhcp import v4
from guest.network import Route
from tests.dhcp.v4_wire import (
    ADDRESS,
    ALL,
    ANY,
    CALICO,
    DISCOVER,
    FLAT,
    INFORM,
    MAC,
    REQUEST,
    SERVER,
    XID,
    ask,
    mac,
    prl,
    seen,
)

ASK_US = ((50, ADDRESS.packed), (54, SERVER.packed))
BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"


def test_offer_is_this_to_the_byte():
    """One whole frame, so that nothing about replies changes unseen."""
    frame = ask(DISCOVER, prl(1, 3, 6), (61, b"\x01" + mac(MAC)), xid=0x11223344).frame
    assert frame.hex() == (
        "02005e100042" "02000d5b1d9e" "0800"
        "45000148" "00010000" "4011c2aa" "a9fe0101" "0af40107"
        "0043004401346e51"
        "02010600" "11223344" "00000000" "00000000" "0af40107" "00000000" "00000000"
        "02005e100042" + "00" * 10 + "00" * 192 +
        "63825363" "350102" "3604a9fe0101" "3304ffffffff" "0104ffffffff" "3d070102005e100042"
        "0304a9fe0101" "06040a60000a" "ff" + "00" * 17
    )  # fmt: skip


@pytest.mark.parametrize("flags", [0, 0x8000, 0xFFFF, 0x0001], ids=hex)
def test_header_repeats_the_request_and_clears_the_rest(flags):
    reply = seen(ask(DISCOVER, flags=flags, chaddr=mac(MAC) + b"0123456789", secs=77))
    assert struct.unpack_from("!IHH", reply.bootp, 4) == (XID, 0, flags)
    assert reply.bootp[28:44] == mac(MAC) + b"0123456789"
    assert (reply.siaddr, reply.giaddr, reply.sname, reply.file) == (ANY, ANY, b"", b"")


def test_short_reply_is_padded_to_300_bytes():
    assert len(seen(ask(DISCOVER, prl(1))).bootp) == 300


def test_long_reply_is_not_padded():
    reply = seen(ask(DISCOVER, prl(1, 3, 6, 119, 121), (61, bytes(40))))
    assert len(reply.bootp) > 300
    assert reply.bootp[-1] == 255


@pytest.mark.parametrize(
    "asked", [(3, 6, 12, 121), (121, 12, 6, 3)], ids=["one way", "the other way"]
)
def test_options_come_in_one_order_with_53_first(asked):
    assert seen(ask(DISCOVER, prl(*asked))).order == (53, 54, 51, 1, 3, 6, 121, 12)


DESTINATIONS = {
    "OFFER": (DISCOVER, (), {}, ADDRESS, MAC),
    "OFFER with broadcast flag": (DISCOVER, (), {"flags": 0x8000}, ALL, BROADCAST_MAC),
    "ACK": (REQUEST, ASK_US, {}, ADDRESS, MAC),
    "ACK with broadcast flag": (REQUEST, ASK_US, {"flags": 0x8000}, ALL, BROADCAST_MAC),
    "renewal": (REQUEST, (), {"ciaddr": ADDRESS, "dst": SERVER}, ADDRESS, MAC),
    "renewal with broadcast flag": (
        REQUEST, (), {"ciaddr": ADDRESS, "dst": SERVER, "flags": 0x8000}, ADDRESS, MAC,
    ),
    "rebinding": (REQUEST, (), {"ciaddr": ADDRESS}, ADDRESS, MAC),
    "OFFER despite a stray ciaddr": (DISCOVER, (), {"ciaddr": SERVER}, ADDRESS, MAC),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options", "fields", "dst", "dst_mac"), DESTINATIONS.values(), ids=DESTINATIONS
)
def test_destination_of(kind, options, fields, dst, dst_mac):
    reply = seen(ask(kind, *options, **fields))
    assert (reply.dst, reply.dst_mac, reply.src) == (dst, dst_mac, SERVER)


@pytest.mark.parametrize(
    "client_id",
    [b"\x01" + mac(MAC), b"\xff" + bytes(range(18)), b"x", b"", b"\0" * 255],
    ids=["type 1", "DUID of RFC 4361", "one octet", "empty", "255 octets"],
)
@pytest.mark.parametrize("kind", [DISCOVER, REQUEST], ids=["OFFER", "ACK"])
def test_client_id_is_echoed_byte_for_byte(client_id, kind):
    reply = seen(ask(kind, *(ASK_US if kind == REQUEST else ()), (61, client_id)))
    assert reply.options[61] == client_id


def test_client_id_is_not_invented():
    assert 61 not in seen(ask(DISCOVER)).options


def test_infinite_lease_by_default_has_no_renewal_times():
    reply = seen(ask(DISCOVER, prl(51, 58, 59)))
    assert reply.options[51] == b"\xff\xff\xff\xff"
    assert not {58, 59} & reply.options.keys()


@pytest.mark.parametrize(
    ("lease", "t1", "t2"), [(86400, 43200, 75600), (20, 10, 17), (1, 0, 0)], ids=str
)
def test_finite_lease_renews_at_a_half_and_rebinds_at_seven_eighths(lease, t1, t2):
    reply = seen(ask(DISCOVER, prl(1), guest=replace(CALICO, lease=lease)))
    times = tuple(int.from_bytes(reply.options[code]) for code in (51, 58, 59))
    assert times == (lease, t1, t2)


def test_a_lease_beyond_32_bits_is_infinite():
    reply = seen(ask(DISCOVER, guest=replace(CALICO, lease=2**40)))
    assert (reply.options[51], 58 in reply.options) == (b"\xff" * 4, False)


def via(gateway):
    return (Route(IPv4Network("0.0.0.0/0"), gateway),)


IDENTIFIERS = {
    "the default gateway": (FLAT.routes, "10.244.1.1"),
    "a link-local default gateway": (CALICO.routes, "169.254.1.1"),
    "the dummy address without default route": ((), "192.0.0.8"),
    "the dummy address for an on-link default": (via(None), "192.0.0.8"),
    "the dummy address for a default via IPv6": (via(IPv6Address("fe80::1")), "192.0.0.8"),
    "the gateway of another route, which the guest can unicast to": (
        (Route(IPv4Network("10.0.0.0/8"), IPv4Address("10.244.1.1")),),
        "10.244.1.1",
    ),
}


@pytest.mark.parametrize(("routes", "expected"), IDENTIFIERS.values(), ids=IDENTIFIERS)
def test_server_identifier_is(routes, expected):
    guest = replace(CALICO, routes=routes)
    assert guest.server4 == IPv4Address(expected)
    reply = seen(ask(DISCOVER, guest=guest))
    assert (reply.options[54], reply.src) == (IPv4Address(expected).packed, IPv4Address(expected))


# --- more than one address, and addresses that are not the pod's ---------------------------


def test_discover_that_hints_at_the_guests_second_address_is_offered_that():
    """RFC 2131 section 4.3.1: a requested address that is valid and the client's own."""
    second = IPv4Interface("10.245.0.9/16")
    guest = replace(CALICO, ipv4=(*CALICO.ipv4, second))
    assert seen(ask(DISCOVER, (50, second.ip.packed), guest=guest)).yiaddr == second.ip


@pytest.mark.parametrize("options", [(), ((80, b""),)], ids=["OFFER", "rapid commit"])
def test_discover_from_the_guests_own_address_is_answered_there(options):
    """ciaddr comes before the broadcast flag (RFC 2131 section 4.1); an ACK echoes it."""
    reply = seen(ask(DISCOVER, *options, ciaddr=ADDRESS, flags=0x8000))
    assert (reply.dst, reply.dst_mac, reply.ciaddr) == (ADDRESS, MAC, ANY)


def test_inform_from_an_address_of_its_own_is_not_told_our_broadcast_address():
    other = IPv4Address("192.168.7.7")
    assert 28 not in seen(ask(INFORM, prl(28, 6), ciaddr=other, src=other, guest=FLAT)).options


def test_the_servers_address_is_its_own_where_no_gateway_has_it():
    alone = replace(FLAT, routes=())
    assert v4.own_address(alone) == alone.server4
    for guest in (FLAT, CALICO, replace(alone, ipv4=()), replace(alone, ipv4_mode="off")):
        assert v4.own_address(guest) is None


def test_equal_requests_get_equal_frames():
    client_id = (61, b"\x01" + mac(MAC))
    assert ask(DISCOVER, client_id) == ask(DISCOVER, client_id)


def test_only_the_xid_differs_when_only_the_xid_differs():
    one, two = ask(DISCOVER, xid=0x01020304), ask(DISCOVER, xid=0xF0E0D0C0)
    assert (one.note, one.reply) == (two.note, two.reply)
    assert one.frame[46:50] == bytes([1, 2, 3, 4])
    # 40:42 is the UDP checksum.
    assert one.frame[:40] + one.frame[42:46] + one.frame[50:] == (
        two.frame[:40] + two.frame[42:46] + two.frame[50:]
    )
