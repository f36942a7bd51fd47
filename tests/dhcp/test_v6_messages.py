"""Which message gets which answer, and which gets none (RFC 8415 sections 16 and 18.3)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from dhcp import v6
from guest.frame import parse
from guest.network import OUR_LINK_LOCAL
from tests.dhcp.v6_wire import (
    CLIENT_ID,
    CONFIRM,
    DECLINE,
    GUEST,
    INFORMATION_REQUEST,
    REBIND,
    RELEASE,
    RENEW,
    REQUEST,
    SERVER_ID,
    SOLICIT,
    ask,
    ia_na,
    ia_pd,
    ia_ta,
    message,
    option,
    oro,
    packet,
    refused,
    spoken,
    told,
)

OURS = ia_na(1, "fd77::42")
GIVEN = "IA_NA 0x1 T1 inf T2 inf: fd77::42 inf/inf"
OTHER_SERVER = option(2, bytes.fromhex("00030001020000000001"))
RAPID_COMMIT = option(14)
HONEST = {
    "SOLICIT": (SOLICIT, CLIENT_ID, OURS),
    "REQUEST": (REQUEST, CLIENT_ID, SERVER_ID, OURS),
    "CONFIRM": (CONFIRM, CLIENT_ID, OURS),
    "RENEW": (RENEW, CLIENT_ID, SERVER_ID, OURS),
    "REBIND": (REBIND, CLIENT_ID, OURS),
    "RELEASE": (RELEASE, CLIENT_ID, SERVER_ID, OURS),
    "DECLINE": (DECLINE, CLIENT_ID, SERVER_ID, OURS),
    "INFORMATION-REQUEST": (INFORMATION_REQUEST, CLIENT_ID),
}


@pytest.mark.parametrize(
    ("request_", "reply", "lines", "note"),
    [
        ("SOLICIT", "ADVERTISE", ["7 ff", GIVEN], "fd77::42, lease infinite"),
        ("REQUEST", "REPLY", [GIVEN], "fd77::42, lease infinite"),
        ("CONFIRM", "REPLY", ["Success"], "fd77::42"),
        ("RENEW", "REPLY", [GIVEN], "fd77::42, lease infinite"),
        ("REBIND", "REPLY", [GIVEN], "fd77::42, lease infinite"),
        ("RELEASE", "REPLY", ["Success"], "fd77::42"),
        ("DECLINE", "REPLY", ["Success"], "fd77::42 in use elsewhere, the guest reports"),
        ("INFORMATION-REQUEST", "REPLY", [], "options only"),
    ],
)
def test_every_message_of_a_client_is_answered(request_, reply, lines, note):
    """Rows 2, 3, 22 and 23: stateful, stateless, renewals and confirmation."""
    exchange = ask(GUEST, *HONEST[request_])
    assert (exchange.request, exchange.reply, exchange.note) == (request_, reply, note)
    assert exchange.warning == ("declined" if request_ == "DECLINE" else "")
    assert told(GUEST, *HONEST[request_]) == lines


def test_transaction_and_identifiers_lead_the_reply():
    """The client id is echoed octet by octet, our own follows."""
    assert spoken(ask(GUEST, *HONEST["RENEW"]))[:3] == [
        "REPLY abcdef",
        "1 000300010200deadbeef",
        f"2 {SERVER_ID[4:].hex()}",
    ]


def test_rapid_commit_is_a_reply_with_the_option():
    """Row 24: two messages instead of four, only when the client offers it."""
    assert told(GUEST, SOLICIT, CLIENT_ID, RAPID_COMMIT, OURS) == ["14", GIVEN]
    assert ask(GUEST, SOLICIT, CLIENT_ID, RAPID_COMMIT, OURS).reply == "REPLY"
    assert told(GUEST, REQUEST, CLIENT_ID, SERVER_ID, RAPID_COMMIT, OURS) == [GIVEN]


def test_rapid_commit_with_nothing_to_give_only_advertises():
    """A REPLY without address would end the client's search."""
    bare = replace(GUEST, ipv6=())
    assert ask(bare, SOLICIT, CLIENT_ID, RAPID_COMMIT, OURS).reply == "ADVERTISE"


def test_information_request_may_come_without_client_id():
    """RFC 8415 section 18.2.6; nothing is echoed then."""
    exchange = ask(GUEST, INFORMATION_REQUEST, oro(23))
    assert spoken(exchange)[1:] == [
        f"2 {SERVER_ID[4:].hex()}",
        "23 fd770000000000000000000000000053",
    ]
    assert ask(GUEST, INFORMATION_REQUEST, SERVER_ID).reply == "REPLY"


@pytest.mark.parametrize(
    ("why", "parts"),
    [
        *(("no client identifier", (kind, SERVER_ID, OURS)) for kind in (3, 5, 8, 9)),
        *(("no client identifier", (kind, OURS)) for kind in (1, 4, 6)),
        *(("no server identifier", (kind, CLIENT_ID, OURS)) for kind in (3, 5, 8, 9)),
        *(("has a server identifier", (kind, CLIENT_ID, SERVER_ID, OURS)) for kind in (1, 4, 6)),
        *(("for another server", (kind, CLIENT_ID, OTHER_SERVER, OURS)) for kind in (3, 5, 8, 9)),
        ("for another server", (INFORMATION_REQUEST, CLIENT_ID, OTHER_SERVER)),
        ("asks for addresses in an INFORMATION-REQUEST", (INFORMATION_REQUEST, CLIENT_ID, OURS)),
        ("names no address to confirm", (CONFIRM, CLIENT_ID)),
        ("names no address to confirm", (CONFIRM, CLIENT_ID, ia_na(1))),
        ("names no address to confirm", (CONFIRM, CLIENT_ID, ia_pd(1, "fd00::"))),
    ],
)
def test_wrong_identifiers_and_aimless_messages_get_silence(why, parts):
    """And the operator can read why."""
    exchange = ask(GUEST, *parts)
    assert (exchange.reply, exchange.frame, exchange.note) == ("", b"", why)


@pytest.mark.parametrize("name", HONEST)
def test_frame_of_another_mac_gets_silence(name):
    """Row 27: the guest is known by its MAC; a nested guest is not ours to serve."""
    exchange = ask(GUEST, *HONEST[name], src_mac="02:00:00:00:77:43")
    assert (exchange.request, exchange.frame) == (name, b"")
    assert exchange.note == "from another MAC, 02:00:00:00:77:43"


@pytest.mark.parametrize(
    "duid", ["0001000100000000020000000001", "0002000000090c", "00030001aa", "000400"]
)
def test_any_duid_and_iaid_of_the_right_mac_is_served(duid):
    """Row 27: a cloned disk brings another machine's DUID along."""
    client_id = option(1, bytes.fromhex(duid))
    assert told(GUEST, SOLICIT, client_id, ia_na(0))[1:] == [
        "IA_NA 0x0 T1 inf T2 inf: fd77::42 inf/inf"
    ]


@pytest.mark.parametrize("source", ["fd77::42", "::", "2001:db8::1"])
def test_source_that_is_not_link_local_gets_silence(source):
    """Section 13.1: clients send from a link-local address."""
    exchange = ask(GUEST, *HONEST["SOLICIT"], src=IPv6Address(source))
    assert (exchange.frame, exchange.note) == (
        b"",
        f"from {source}, which is not a link-local address",
    )


@pytest.mark.parametrize("name", HONEST)
def test_ipv6_mode_off_is_silence(name):
    exchange = ask(replace(GUEST, ipv6_mode="off"), *HONEST[name])
    assert (exchange.frame, exchange.note) == (b"", "IPv6 is off for this network")


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("to", ["fe80::d5b:1d9e", "fd77::1"])
def test_unicast_is_as_good_as_multicast_only_where_a_server_is_named(name, to):
    """RFC 9915 knows no UseMulticast; what names no server MUST be dropped (section 16)."""
    exchange = ask(GUEST, *HONEST[name], dst=IPv6Address(to))
    named = name in ("REQUEST", "RENEW", "RELEASE", "DECLINE")
    assert exchange == (
        ask(GUEST, *HONEST[name])
        if named
        else exchange._replace(frame=b"", reply="", note=f"sent to {to}, not to all DHCPv6 servers")
    )
    assert bool(exchange.frame) is named


@pytest.mark.parametrize("name", HONEST)
def test_other_multicast_groups_are_not_ours(name):
    assert ask(GUEST, *HONEST[name], dst=IPv6Address("ff02::1")).frame == b""
    assert ask(GUEST, *HONEST[name], dst=IPv6Address("ff05::1:3")) == ask(GUEST, *HONEST[name])


@pytest.mark.parametrize("kind", [0, 2, 7, 10, 12, 13, 36, 37, 255])
def test_messages_of_servers_and_relays_and_unknown_ones_get_nothing(kind):
    """ADVERTISE, REPLY, RECONFIGURE, RELAY-FORW, RELAY-REPL and what nobody knows."""
    why = f"DHCPv6: message type {kind}, which no client sends"
    assert refused(ask(GUEST, kind, CLIENT_ID, SERVER_ID, OURS), why)


def test_other_ports_are_not_ours():
    assert v6.answer(packet(message(*HONEST["SOLICIT"]), dport=546), GUEST) is None


def test_reply_goes_to_port_546_whatever_the_source_port():
    """Section 7.2: clients listen there; spoken() asserts the ports."""
    assert told(GUEST, *HONEST["REQUEST"], sport=40000) == [GIVEN]


@pytest.mark.parametrize("kind", [RELEASE, DECLINE])
def test_release_and_decline_name_each_ia_without_binding(kind):
    """Sections 18.3.7 and 18.3.8: Success, and NoBinding where nothing of ours was named."""
    foreign = ia_na(2, "fd77::bad")
    lines = told(GUEST, kind, CLIENT_ID, SERVER_ID, OURS, foreign, ia_ta(3), ia_pd(4, "fd00::"))
    assert lines == [
        "Success",
        "IA_NA 0x2: NoBinding",
        "IA_TA 0x3: NoBinding",
        "IA_PD 0x4: NoBinding",
    ]


def test_solicit_after_decline_is_answered_as_before():
    """The pod has no other address to give; the operator was warned."""
    before = ask(GUEST, *HONEST["SOLICIT"])
    assert ask(GUEST, *HONEST["DECLINE"]).warning == "declined"
    assert ask(GUEST, *HONEST["SOLICIT"]) == before


@pytest.mark.parametrize(
    ("named", "status"),
    [
        ((ia_na(1, "fd77::42"),), "Success"),
        ((ia_na(1, "fd77::42"), ia_na(2, "fd77::42")), "Success"),
        ((ia_na(1, "fd77::42", "fd77::41"),), "NotOnLink"),
        ((ia_na(1, "fd77::42"), ia_na(2, "fd77::41")), "NotOnLink"),
        ((ia_ta(1, "2001:db8::1"),), "NotOnLink"),
    ],
)
def test_confirm_has_a_status_for_all_addresses_together(named, status):
    """Row 23: one strange address spoils the answer, whichever IA holds it."""
    assert told(GUEST, CONFIRM, CLIENT_ID, oro(23), *named) == [status]


def test_server_duid_is_a_uuid_that_survives_restart_and_migration():
    """RFC 6355; node, tap and addresses may change, VMI and network do not."""
    duid = v6.server_duid(GUEST)
    assert (duid[:2], len(duid)) == (b"\x00\x04", 18)
    elsewhere = replace(GUEST, tap="tap7", nic="x", ipv6=(), mtu=9000, migration_target=True)
    assert v6.server_duid(elsewhere) == duid
    assert v6.server_duid(replace(GUEST, uid="6ad2")) != duid
    assert v6.server_duid(replace(GUEST, network="second")) != duid


def test_same_request_same_answer():
    """No state: nothing that came before changes what comes next."""
    first = [ask(GUEST, *parts) for parts in HONEST.values()]
    assert [ask(GUEST, *parts) for parts in HONEST.values()] == first


NAMING = ("REQUEST", "RENEW", "RELEASE", "DECLINE")


@pytest.mark.parametrize("request_", NAMING)
def test_unicast_from_the_leased_address_is_answered_to_it(request_):
    """BusyBox's udhcpc6 renews and releases so."""
    ends = {"src": IPv6Address("fd77::42"), "dst": OUR_LINK_LOCAL}
    exchange = ask(GUEST, *HONEST[request_], **ends)
    assert exchange.reply == "REPLY"
    assert parse(exchange.frame).dst == ends["src"]
    assert told(GUEST, *HONEST[request_], **ends) == told(GUEST, *HONEST[request_])


@pytest.mark.parametrize("source", ["::", "::1", "ff02::1"])
@pytest.mark.parametrize("request_", NAMING)
def test_unicast_from_what_is_no_hosts_address_gets_silence(request_, source):
    exchange = ask(GUEST, *HONEST[request_], src=IPv6Address(source), dst=OUR_LINK_LOCAL)
    assert (exchange.reply, exchange.frame) == ("", b"")


@pytest.mark.parametrize("association", [ia_na(1, "2001:db8::1"), ia_na(1)])
def test_decline_of_what_is_not_the_guests_is_no_warning(association):
    exchange = ask(GUEST, DECLINE, CLIENT_ID, SERVER_ID, association)
    assert (exchange.reply, exchange.warning) == ("REPLY", "")


@pytest.mark.parametrize("kind", [CONFIRM, RELEASE, DECLINE])
def test_the_length_of_a_log_line_is_not_the_guests_to_choose(kind):
    crowd = [f"2001:db8::{number:x}" for number in range(1, 101)]
    server = () if kind == CONFIRM else (SERVER_ID,)
    exchange = ask(GUEST, kind, CLIENT_ID, *server, ia_na(1, *crowd))
    assert len(exchange.note) < 200
    assert "2001:db8::1 2001:db8::2 2001:db8::3 2001:db8::4 and 96 more" in exchange.note
