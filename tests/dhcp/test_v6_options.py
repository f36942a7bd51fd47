"""Options that a client gets because it asked for them, and only then."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Interface

import pytest
from scapy.layers import dhcp6
from scapy.layers.l2 import Ether

from guest.frame import parse
from guest.network import Boot
from tests.dhcp.v6_wire import (
    CLIENT_ID,
    CONFIRM,
    GUEST,
    INFORMATION_REQUEST,
    RELEASE,
    REQUEST,
    SERVER_ID,
    SOLICIT,
    ask,
    ia_na,
    option,
    oro,
    spoken,
    told,
)

RICH = replace(
    GUEST,
    lease=7200,
    dns=(IPv4Address("192.0.2.53"), IPv6Address("fd77::53"), IPv6Address("fd77::54")),
    search=("cluster.local", "example.org"),
    ntp=(IPv6Address("fd77::123"), IPv4Address("192.0.2.123"), IPv6Address("ff05::101")),
    boot=Boot(url="http://[fd77::80]/boot.efi", parameters=("quiet", "", "x=1")),
    captive_portal="https://portal.example/api",
)
EXPECTED = {
    23: ["23 fd770000000000000000000000000053fd770000000000000000000000000054"],
    24: ["24 07636c7573746572056c6f63616c00076578616d706c65036f726700"],
    31: ["31 fd770000000000000000000000000123"],
    32: ["32 00001c20"],
    39: ["39 0403766d31076578616d706c65036f726700"],
    56: [
        "56 00010010fd770000000000000000000000000123",
        "56 00020010ff050000000000000000000000000101",
    ],
    59: ["59 " + b"http://[fd77::80]/boot.efi".hex()],
    60: ["60 0005717569657400000003783d31"],
    82: ["82 00000e10"],
    83: ["83 00000e10"],
    103: ["103 " + b"https://portal.example/api".hex()],
}
ALL = sorted(EXPECTED)
POOR = replace(GUEST, dns=(), search=(), hostname="", domain="", ntp=())


NAMED = option(39, b"\0\x03foo")
"""The client's own name, without which it is not told ours."""


def informed(guest, *options):
    return told(guest, INFORMATION_REQUEST, CLIENT_ID, NAMED, *options)


@pytest.mark.parametrize("code", ALL)
def test_option_is_sent_when_asked_for(code):
    """Rows 3, 30, 31, 32, 35, one by one, over the stateless exchange."""
    assert informed(RICH, oro(code)) == EXPECTED[code]


@pytest.mark.parametrize("code", ALL)
def test_option_is_not_sent_when_others_are_asked_for(code):
    others = [line for other in ALL if other != code for line in EXPECTED[other]]
    answer = informed(RICH, oro(*(other for other in ALL if other != code)))
    assert sorted(answer) == sorted(others)


def test_nothing_is_sent_unasked():
    assert informed(RICH) == []
    assert len(told(RICH, REQUEST, CLIENT_ID, SERVER_ID, ia_na(1))) == 1


@pytest.mark.parametrize("code", [code for code in ALL if code not in (82, 83)])
def test_option_is_not_sent_when_nothing_is_configured(code):
    assert informed(POOR, oro(code)) == []


@pytest.mark.parametrize("code", [23, 31, 56])
def test_ipv4_servers_are_not_told_over_ipv6(code):
    guest = replace(GUEST, dns=(IPv4Address("192.0.2.1"),), ntp=(IPv4Address("192.0.2.2"),))
    assert informed(guest, oro(code)) == []


def test_several_oros_and_repeated_codes_are_one_wish():
    assert informed(RICH, oro(23), oro(31, 23), oro()) == EXPECTED[23] + EXPECTED[31]


def test_unknown_and_server_codes_in_the_oro_are_ignored():
    """Nor can a client have IA_NA, preference or status by asking for them."""
    assert informed(RICH, oro(0, 1, 2, 3, 7, 13, 14, 65535)) == []


@pytest.mark.parametrize("kind", [CONFIRM, RELEASE])
def test_messages_about_addresses_get_no_options(kind):
    parts = [CLIENT_ID, ia_na(1, "fd77::42"), oro(*ALL)]
    if kind == RELEASE:
        parts.append(SERVER_ID)
    assert told(RICH, kind, *parts) == ["Success"]


@pytest.mark.parametrize("mode", ["slaac", "both", "dhcp"])
def test_stateless_guest_gets_its_options_in_every_mode(mode):
    """Row 3: `ipv6: slaac` announces O=1."""
    assert informed(replace(RICH, ipv6_mode=mode), oro(23)) == EXPECTED[23]


def test_solicit_of_a_slaac_guest_gets_options_beside_the_status():
    guest = replace(RICH, ipv6_mode="slaac")
    assert told(guest, SOLICIT, CLIENT_ID, ia_na(1), oro(23)) == [
        "IA_NA 0x1: NoAddrsAvail",
        *EXPECTED[23],
    ]


def test_sol_max_rt_is_raised_when_there_is_nothing_to_give():
    """A pod without IPv6 need not be asked every hour, once a day will do."""
    bare = replace(GUEST, ipv6=())
    assert "82 00015180" in told(bare, SOLICIT, CLIENT_ID, ia_na(1), oro(82))
    assert "82 00000e10" in told(GUEST, SOLICIT, CLIENT_ID, ia_na(1), oro(82))


@pytest.mark.parametrize(
    ("lease", "lines"),
    [(None, []), (60, ["32 00000258"]), (86400, ["32 00015180"]), (2**33, ["32 ffffffff"])],
)
def test_refresh_time_follows_a_finite_lease_down_to_ten_minutes(lease, lines):
    """IRT_MINIMUM is 600 s; without the option a client comes back after a day."""
    assert informed(replace(GUEST, lease=lease), oro(32)) == lines


def test_refresh_time_is_for_stateless_exchanges():
    assert told(RICH, REQUEST, CLIENT_ID, SERVER_ID, ia_na(1), oro(32))[1:] == []


@pytest.mark.parametrize(
    ("sent", "flags"),
    [(0, 4), (1, 6), (4, 4), (0xF8, 4), (0xFF, 6)],
)
def test_fqdn_flags_say_that_nobody_here_updates_dns(sent, flags):
    """Row 30, RFC 4704 section 4.1: N set, S clear, O when the client wished for S."""
    theirs = option(39, bytes([sent]) + b"\x03foo")
    (line,) = told(GUEST, REQUEST, CLIENT_ID, SERVER_ID, oro(39), theirs)
    assert line == f"39 {flags:02x}03766d31076578616d706c65036f726700"


@pytest.mark.parametrize(
    "one", [NAMED, oro(39), oro(39) + option(39, b"")], ids=["sends", "asks", "asks, sends nothing"]
)
def test_fqdn_is_for_a_client_that_both_asks_and_sends_its_own(one):
    """systemd-networkd sends, udhcpc6 asks; RFC 4704 section 6 wants both."""
    assert told(GUEST, REQUEST, CLIENT_ID, SERVER_ID, one) == []


def test_host_name_without_domain_is_a_partial_name():
    """RFC 4704 section 4.2: no terminating zero label."""
    assert informed(replace(GUEST, fqdn_domain=""), oro(39)) == ["39 0403766d31"]


def test_fqdn_as_host_name_is_not_doubled():
    guest = replace(GUEST, hostname="vm1.example.org")
    assert informed(guest, oro(39)) == ["39 0403766d31076578616d706c65036f726700"]


@pytest.mark.parametrize(
    "bad",
    ["", ".", "a..b", "x" * 64, ".".join(["y" * 60] * 5), "bücher.example", "a\udcff"],
    ids=["empty", "root", "empty label", "long label", "long name", "not ASCII", "surrogate"],
)
def test_bad_search_domain_costs_itself_only(bad):
    """Row 32: it must never cost the answer, let alone the VM."""
    guest = replace(GUEST, search=("one.example", bad, "two.example"))
    assert informed(guest, oro(24)) == ["24 036f6e65076578616d706c65000374776f076578616d706c6500"]
    assert informed(replace(GUEST, search=(bad,)), oro(24)) == []
    assert informed(replace(GUEST, hostname=bad, fqdn_domain=""), oro(39)) == []


def test_long_search_list_is_whole():
    """Row 32: no 255-octet limit here, and every label is a label."""
    names = tuple(f"namespace-{i}.svc.cluster.local" for i in range(20))
    (line,) = informed(replace(GUEST, search=names), oro(24))
    encoded = bytes.fromhex(line.split()[1])
    assert encoded.count(b"\x03svc\x07cluster\x05local\x00") == 20


def test_boot_parameters_go_only_with_a_boot_url():
    """Row 35, RFC 5970."""
    assert informed(RICH, oro(60)) == EXPECTED[60]
    assert informed(replace(RICH, boot=Boot(parameters=("quiet",))), oro(59, 60)) == []


@pytest.mark.parametrize("count", range(1, 90))
def test_a_crowd_of_servers_loses_its_tail_and_not_everything(count):
    crowd = tuple(IPv6Address(f"fd77::{number:x}") for number in range(1, count + 1))
    lines = informed(replace(RICH, mtu=1280, dns=crowd, ntp=crowd), oro(23))
    assert len(lines[0].split()[1]) == 32 * min(count, (1280 - 48 - 4 - 14 - 22 - 4) // 16)


@pytest.mark.parametrize("mtu", [1280, 1500])
def test_answer_never_exceeds_the_mtu(mtu):
    """The least worthy options stay away; addresses and identifiers never do."""
    names = tuple(f"namespace-{i}.svc.cluster.local" for i in range(45))
    guest = replace(RICH, mtu=mtu, search=names)
    exchange = ask(guest, REQUEST, CLIENT_ID, SERVER_ID, ia_na(1), oro(*ALL))
    assert len(exchange.frame) - 14 <= mtu
    codes = [line.split()[0] for line in spoken(exchange)]
    assert codes[1:6] == ["1", "2", "IA_NA", "23", "24"]
    assert "103" not in codes


def test_search_list_that_does_not_fit_loses_its_tail():
    names = tuple(f"namespace-{i}.svc.cluster.local" for i in range(10, 90))
    line = informed(replace(GUEST, search=names), oro(24))[0]
    encoded = bytes.fromhex(line.split()[1])
    kept = encoded.count(b"\x03svc\x07cluster\x05local\x00")
    assert encoded == b"".join(
        b"\x0cnamespace-%d\x03svc\x07cluster\x05local\x00" % i for i in range(10, 10 + kept)
    )
    assert kept * 32 + 32 > 1500 - 48 - 4 - 22 - 14 - 4


def test_mtu_below_ipv6s_least_is_not_believed():
    """1280 octets are every IPv6 link's (RFC 8200 section 5)."""
    assert ask(replace(GUEST, mtu=68), REQUEST, CLIENT_ID, SERVER_ID, ia_na(1)).reply == "REPLY"


def test_crowd_of_addresses_is_cut_to_what_fits_any_link():
    many = tuple(IPv6Interface(f"fd77::{i:x}/128") for i in range(1, 4000))
    line = told(replace(GUEST, ipv6=many, mtu=1280), REQUEST, CLIENT_ID, SERVER_ID, ia_na(1))[0]
    assert line.count(" inf/inf") == 32


def test_answer_that_cannot_fit_is_silence():
    """Sixty refusals with their words are longer than any frame of this link."""
    exchange = ask(GUEST, REQUEST, CLIENT_ID, SERVER_ID, *map(ia_na, range(60)))
    assert (exchange.frame, exchange.note) == (b"", "the answer would not fit into the MTU")


def test_absurd_configuration_costs_options_never_the_answer():
    """Whoever may write the VMI's annotation must not be able to stop the responder."""
    crowd = tuple(IPv6Address(i) for i in range(1, 6000))
    guest = replace(
        RICH,
        dns=crowd,
        ntp=crowd,
        boot=Boot(url="u" * 70000, parameters=("p" * 70000, "\ud800")),
        captive_portal="\ud800" * 70000,
    )
    assert {line.split()[0] for line in informed(guest, oro(*ALL))} == {"23"}
    fewer = {line.split()[0] for line in informed(replace(guest, dns=(), ntp=()), oro(*ALL))}
    assert fewer == {"24", "32", "39", "82", "83"}
    assert informed(replace(guest, captive_portal="\ud800"), oro(103)) == ["103 3f"]


def test_scapy_reads_every_option_as_we_meant_it():
    """A second reader for what the tests above compare octet by octet."""
    exchange = ask(RICH, SOLICIT, CLIENT_ID, NAMED, ia_na(1), oro(*ALL))
    assert parse(exchange.frame) is not None
    reply = Ether(exchange.frame)
    assert reply[dhcp6.DHCP6_Advertise].trid == 0xABCDEF
    assert reply[dhcp6.DHCP6OptDNSServers].dnsservers == ["fd77::53", "fd77::54"]
    assert reply[dhcp6.DHCP6OptDNSDomains].dnsdomains == ["cluster.local.", "example.org."]
    assert reply[dhcp6.DHCP6OptClientFQDN].fqdn == b"vm1.example.org."
    assert reply[dhcp6.DHCP6OptNTPServer].ntpserver[0].addr == "fd77::123"
    assert reply[dhcp6.DHCP6OptBootFileUrl].optdata == b"http://[fd77::80]/boot.efi"
    assert reply[dhcp6.DHCP6OptCaptivePortal].URI == b"https://portal.example/api"
    assert reply[dhcp6.DHCP6OptPref].prefval == 255


def test_frame_ends_with_the_last_option():
    """walk() in told() asserts the same of the inside."""
    exchange = ask(GUEST, REQUEST, CLIENT_ID, SERVER_ID, ia_na(1))
    assert len(exchange.frame) == 14 + 40 + 8 + len(parse(exchange.frame).payload)
