"""Which message, in which client state, gets which answer (RFC 2131 section 4.3)."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from dhcp import v4
from tests.dhcp.v4_wire import (
    ADDRESS,
    ALL,
    ANY,
    CALICO,
    DECLINE,
    DISCOVER,
    FLAT,
    INFORM,
    MAC,
    RELEASE,
    REQUEST,
    SERVER,
    ask,
    bootp,
    mac,
    packet,
    prl,
    refused,
    seen,
    silent,
)

OTHER = IPv4Address("10.244.9.9")
FROM_SERVER = (54, SERVER.packed)
CLIENT_ID = (61, b"\x01" + mac(MAC))


def wants(address):
    return (50, address.packed)


def test_discover_is_offered_the_pod_address():
    exchange = ask(DISCOVER)
    reply = seen(exchange)
    assert (exchange.request, exchange.reply, exchange.note) == ("DISCOVER", "OFFER", "10.244.1.7")
    assert (reply.yiaddr, reply.ciaddr, reply.options[54]) == (ADDRESS, ANY, SERVER.packed)


def test_discover_that_hints_at_another_address_is_offered_the_pod_address():
    assert seen(ask(DISCOVER, wants(OTHER))).yiaddr == ADDRESS


STATES = {
    "SELECTING": ((wants, FROM_SERVER), {}),
    "INIT-REBOOT": ((wants,), {}),
    "RENEWING": ((), {"dst": SERVER}),
    "REBINDING": ((), {"dst": ALL}),
}


def ask_in(state, address, guest=CALICO, **fields):
    options, outer = STATES[state]
    if state in ("RENEWING", "REBINDING"):
        fields |= {"ciaddr": address, "src": address}
    made = [option(address) if callable(option) else option for option in options]
    return ask(REQUEST, *made, CLIENT_ID, guest=guest, **outer, **fields)


@pytest.mark.parametrize("state", STATES)
def test_request_for_the_guests_address_is_acknowledged(state):
    exchange = ask_in(state, ADDRESS)
    reply = seen(exchange)
    assert (exchange.request, exchange.reply) == ("REQUEST", "ACK")
    assert exchange.note == f"10.244.1.7, {state}"
    assert reply.yiaddr == ADDRESS
    assert reply.ciaddr == (ADDRESS if state in ("RENEWING", "REBINDING") else ANY)
    assert {51, 54, 1} <= reply.options.keys()


@pytest.mark.parametrize("state", STATES)
def test_request_for_another_address_is_refused(state):
    exchange = ask_in(state, OTHER)
    assert (exchange.reply, exchange.note) == ("NAK", f"10.244.9.9, {state}")


@pytest.mark.parametrize("flags", [0, 0x8000], ids=["no flag", "broadcast flag"])
@pytest.mark.parametrize("state", STATES)
def test_nak_is_broadcast_with_server_id_and_client_id_and_no_address(state, flags):
    reply = seen(ask_in(state, OTHER, flags=flags))
    assert (reply.dst, reply.dst_mac) == (ALL, "ff:ff:ff:ff:ff:ff")
    assert (reply.ciaddr, reply.yiaddr, reply.siaddr) == (ANY, ANY, ANY)
    assert reply.options[54] == SERVER.packed
    assert reply.options[61] == CLIENT_ID[1]
    assert reply.options.keys() == {53, 54, 56, 61}


@pytest.mark.parametrize("state", STATES)
def test_every_address_of_the_guest_can_be_kept(state):
    second = IPv4Interface("10.245.0.9/16")
    guest = replace(CALICO, ipv4=(*CALICO.ipv4, second))
    reply = seen(ask_in(state, second.ip, guest))
    assert (reply.yiaddr, reply.options[1]) == (second.ip, IPv4Address("255.255.0.0").packed)


def test_discover_with_several_addresses_is_offered_the_first():
    guest = replace(CALICO, ipv4=(*CALICO.ipv4, IPv4Interface("10.245.0.9/16")))
    assert seen(ask(DISCOVER, guest=guest)).yiaddr == ADDRESS


def test_request_to_another_server_is_silence():
    exchange = ask(REQUEST, wants(ADDRESS), (54, OTHER.packed))
    assert silent(exchange, "another server, 10.244.9.9")


def test_request_that_names_no_address_is_silence():
    assert silent(ask(REQUEST), "names no address")
    assert silent(ask(REQUEST, FROM_SERVER), "names no address")


@pytest.mark.parametrize(
    ("dst", "dst_mac"),
    [
        (SERVER, "ee:ee:ee:ee:ee:ee"),
        (SERVER, "02:00:0d:5b:1d:9e"),
        (IPv4Address("169.254.75.10"), "02:11:22:33:44:55"),
        (IPv4Address("10.244.1.1"), "ff:ff:ff:ff:ff:ff"),
    ],
    ids=["gateway's MAC", "our MAC", "the server of core bridge", "broadcast MAC"],
)
def test_unicast_renewal_is_answered_wherever_it_goes(dst, dst_mac):
    exchange = ask(REQUEST, ciaddr=ADDRESS, src=ADDRESS, dst=dst, dst_mac=dst_mac)
    assert (exchange.reply, exchange.note) == ("ACK", "10.244.1.7, RENEWING")


def test_renewal_by_a_client_that_wrongly_adds_our_server_id_is_acknowledged():
    exchange = ask(REQUEST, FROM_SERVER, ciaddr=ADDRESS, src=ADDRESS, dst=SERVER)
    assert (exchange.reply, exchange.note) == ("ACK", "10.244.1.7, RENEWING")


def test_renewing_counts_ciaddr_not_a_stray_requested_address():
    exchange = ask(REQUEST, wants(OTHER), ciaddr=ADDRESS, src=ADDRESS, dst=SERVER)
    assert exchange.reply == "ACK"


def test_rapid_commit_is_acknowledged_at_once_and_echoed():
    exchange = ask(DISCOVER, (80, b""))
    assert (exchange.request, exchange.reply) == ("DISCOVER", "ACK")
    assert exchange.note == "10.244.1.7, rapid commit"
    assert seen(exchange).options[80] == b""


@pytest.mark.parametrize("kind", [DISCOVER, REQUEST], ids=["OFFER", "ACK"])
def test_rapid_commit_is_never_sent_unasked(kind):
    assert 80 not in seen(ask(kind, *([wants(ADDRESS)] if kind == REQUEST else []))).options


def test_rapid_commit_in_a_request_is_not_echoed():
    assert 80 not in seen(ask(REQUEST, wants(ADDRESS), (80, b""))).options


def test_inform_gets_parameters_without_address_or_lease():
    exchange = ask(INFORM, prl(1, 6, 51, 58, 59), ciaddr=ADDRESS, src=ADDRESS, guest=FLAT)
    reply = seen(exchange)
    assert (exchange.request, exchange.reply) == ("INFORM", "ACK")
    assert (reply.yiaddr, reply.ciaddr) == (ANY, ADDRESS)
    assert (reply.dst, reply.dst_mac) == (ADDRESS, MAC)
    assert reply.options.keys() == {53, 54, 1, 6}


def test_inform_from_a_static_address_of_its_own_is_answered_there_without_our_mask():
    reply = seen(ask(INFORM, prl(1, 6), ciaddr=OTHER, src=OTHER, guest=FLAT))
    assert (reply.dst, reply.yiaddr) == (OTHER, ANY)
    assert reply.options.keys() == {53, 54, 6}


def test_inform_without_ciaddr_is_answered_to_its_source():
    assert seen(ask(INFORM, src=ADDRESS)).dst == ADDRESS


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.0.1"])
def test_inform_that_no_answer_can_reach_is_silence(address):
    assert silent(ask(INFORM, ciaddr=IPv4Address(address)), "no answer can go to")


@pytest.mark.parametrize(
    "options", [[wants(ADDRESS), FROM_SERVER], []], ids=["named", "unnamed: dhcpcd"]
)
def test_decline_of_our_address_is_a_warning_and_silence(options):
    exchange = ask(DECLINE, *options)
    assert silent(exchange, "10.244.1.7 is in use elsewhere")
    assert (exchange.request, exchange.warning) == ("DECLINE", "declined")


def test_decline_of_another_address_is_silence_without_warning():
    exchange = ask(DECLINE, wants(OTHER), FROM_SERVER)
    assert silent(exchange, "not ours")
    assert not exchange.warning


@pytest.mark.parametrize("kind", [DECLINE, RELEASE], ids=["DECLINE", "RELEASE"])
def test_what_is_said_to_another_server_is_none_of_our_business(kind):
    """A client that took another offer and found it in use: no word about our address."""
    exchange = ask(kind, wants(ADDRESS), (54, OTHER.packed), ciaddr=ADDRESS)
    assert silent(exchange, "another server, 10.244.9.9")
    assert not exchange.warning


def test_a_release_that_names_no_server_is_ours():
    assert silent(ask(RELEASE, ciaddr=ADDRESS), "10.244.1.7")


def test_release_is_silence():
    exchange = ask(RELEASE, FROM_SERVER, ciaddr=ADDRESS, src=ADDRESS, dst=SERVER)
    assert silent(exchange, "10.244.1.7")
    assert (exchange.request, exchange.warning) == ("RELEASE", "")


@pytest.mark.parametrize("kind", [DECLINE, RELEASE], ids=["DECLINE", "RELEASE"])
def test_the_next_discover_is_answered_as_before(kind):
    before = ask(DISCOVER)
    ask(kind, wants(ADDRESS), FROM_SERVER, ciaddr=ADDRESS)
    assert ask(DISCOVER) == before


SILENT = {
    "another L2 source": ({"src_mac": "02:00:00:00:00:99"}, {}, "from another MAC"),
    "another chaddr": ({"chaddr": mac("02:00:00:00:00:99")}, {}, "for another MAC"),
    "a relay": ({"giaddr": OTHER}, {}, "relayed by 10.244.9.9"),
    "IPv4 off": ({}, {"ipv4_mode": "off"}, "IPv4 is off"),
    "no IPv4 address": ({}, {"ipv4": ()}, "no IPv4 address"),
}


@pytest.mark.parametrize("kind", [DISCOVER, REQUEST, INFORM], ids=["DISCOVER", "REQUEST", "INFORM"])
@pytest.mark.parametrize(("fields", "changes", "why"), SILENT.values(), ids=SILENT)
def test_silence_for(fields, changes, why, kind):
    guest = replace(CALICO, **changes)
    assert silent(ask(kind, wants(ADDRESS), ciaddr=ADDRESS, guest=guest, **fields), why)


def test_bootp_without_dhcp_is_silence():
    exchange = v4.answer(packet(bootp((55, b"\x01"))), CALICO)
    assert silent(exchange, "BOOTP")
    assert exchange.request == "BOOTP"


NOT_BOOTP = {
    "op is a reply": b"\x02\x01\x06\x00",
    "hardware type is not Ethernet": b"\x01\x06\x06\x00",
    "hardware address of 0 octets": b"\x01\x01\x00\x00",
    "hardware address of 16 octets": b"\x01\x01\x10\x00",
}


@pytest.mark.parametrize("start", NOT_BOOTP.values(), ids=NOT_BOOTP)
def test_what_is_no_request_of_an_ethernet_client_is_refused(start):
    exchange = v4.answer(packet(bootp((53, b"\x01"), start=start)), CALICO)
    assert refused(exchange, "op, htype and hlen")


def test_a_message_shorter_than_its_header_is_refused():
    exchange = v4.answer(packet(bootp(end=b"")[:239]), CALICO)
    assert refused(exchange, "239 octets are shorter than its header")


@pytest.mark.parametrize("cookie", [b"\0\0\0\0", b"\x63\x82\x53\x64"], ids=["none", "wrong"])
def test_without_the_magic_cookie_it_is_no_request(cookie):
    payload = bootp((53, b"\x01"))
    exchange = v4.answer(packet(payload[:236] + cookie + payload[240:]), CALICO)
    assert refused(exchange, "no magic cookie")


def test_another_port_or_family_is_no_request():
    payload = bootp((53, b"\x01"))
    assert v4.answer(packet(payload, dport=68), CALICO) is None
    assert v4.answer(packet(payload)._replace(protocol=58), CALICO) is None
