"""What OVN leaves out is named: frames of a real OVN and its client, a simulated clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binding.serve import other_servers
from binding.serve.ovn_watch import OvnWatch
from guest.frame import parse
from guest.network import GuestNetwork
from tests.samples import BESIDE_OVN as GUEST

VECTORS = Path(__file__).parents[1] / "vectors" / "ovn"
BOTH = frozenset((4, 6))


def frame(name):
    return bytes.fromhex((VECTORS / f"{name}.hex").read_text().splitlines()[1])


def heard(octets, mac=GUEST.mac):
    packet = parse(octets)
    return other_servers.read(packet, mac) if packet else None


@dataclass
class Scene:
    """A watch and its clock."""

    guest: GuestNetwork = GUEST
    by_ovn: frozenset = BOTH
    now: float = 100.0
    found: dict = field(default_factory=dict)

    def __post_init__(self):
        self.watch = OvnWatch(self.guest, self.by_ovn)

    def asks(self, name, **changes):
        packet = parse(frame(name), partial_checksum=True)
        return self.watch.from_guest(packet._replace(**changes), self.now)

    def gets(self, name):
        return self.watch.from_network(heard(frame(name)), self.now)

    def later(self, seconds):
        self.now += seconds
        self.watch.due(self.now)
        return self.missing()

    def missing(self):
        """Take what is new, as serve does, and return what is missing now."""
        self.found |= self.watch.findings
        self.watch.findings.clear()
        return sorted(text for text in self.found.values() if text)


def test_the_answers_of_ovn_are_read_to_the_byte():
    offer, advertise, ra = (heard(frame(name)) for name in ("offer", "advertise", "ra"))
    assert (offer.kind, offer.server) == ("OFFER", IPv4Address("169.254.0.254"))
    assert (offer.addresses, offer.dns) == ((IPv4Address("10.16.0.7"),), True)
    assert (advertise.kind, advertise.dns) == ("ADVERTISE", True)
    assert advertise.addresses == (IPv6Address("fd00:10:16::7"),)
    assert (ra.kind, ra.server) == ("RA", IPv6Address("fe80::200:ff:fe2a:6b01"))
    assert ra.autonomous is None
    assert str(heard(frame("slaac-ra")).autonomous) == "fd00:10:16::/112"
    assert [heard(frame(name)).kind for name in ("ack", "reply")] == ["ACK", "REPLY"]


@pytest.mark.parametrize("name", ["offer", "ack", "advertise", "reply", "ra"])
def test_an_answer_to_somebody_else_is_not_read(name):
    octets = frame(name)
    other = "00:00:00:7d:1c:08"
    is_multicast = octets[0] & 1
    assert heard(octets, other) is None or is_multicast


@pytest.mark.parametrize("name", ["offer", "ack", "advertise", "reply", "ra"])
def test_a_truncated_answer_says_nothing_that_the_whole_one_does_not(name):
    packet = parse(frame(name))
    whole = heard(frame(name))
    for length in range(4, len(packet.payload)):
        said = other_servers.read(packet._replace(payload=packet.payload[:length]), GUEST.mac)
        if said is None or said == whole:  # what is cut off may be padding
            continue
        assert said.kind == whole.kind, "only whole options are left out"
        assert set(said.addresses) <= set(whole.addresses)
        assert said.dns <= whole.dns


def test_a_complete_configuration_leaves_nothing_to_say():
    scene = Scene()
    for request, answer in (
        ("discover", "offer"),
        ("rs", "ra"),
        ("solicit", "advertise"),
        ("request6", "reply"),
    ):
        asked, got = scene.asks(request), scene.gets(answer)
        assert asked.counted
        assert got.counted == answer.upper()
        assert got.exchanges[0].request == asked.counted
        assert got.exchanges[0].frame == b""
    assert scene.later(60) == []
    assert scene.watch.wake_at is None


@pytest.mark.parametrize(
    "request_, name",
    [
        ("discover", "enableDHCP: no OFFER within 5 s of DISCOVER"),
        ("solicit", "enableDHCP: no ADVERTISE within 5 s of SOLICIT"),
        ("request6", "enableDHCP: no REPLY within 5 s of REQUEST"),
        ("rs", "enableIPv6RA: no RA within 5 s of RS"),
    ],
)
def test_an_unanswered_request_is_named_after_5_seconds_and_not_before(request_, name):
    scene = Scene()
    scene.asks(request_)
    assert scene.watch.wake_at == scene.now + 5
    assert scene.later(4.9) == []
    (text,) = scene.later(0.1)
    assert text.startswith(name)


def test_the_first_unanswered_request_counts_not_the_last():
    scene = Scene()
    scene.asks("discover")
    scene.later(3)
    scene.asks("discover")
    assert len(scene.later(2)) == 1


def test_a_late_answer_takes_its_warning_back():
    scene = Scene()
    scene.asks("discover")
    assert scene.later(5)
    scene.gets("offer")
    assert scene.missing() == []


def test_a_successor_that_knows_of_no_warning_takes_it_back_all_the_same():
    scene = Scene(found={"v4 answer": "enableDHCP: no OFFER within 5 s of DISCOVER"})
    scene.asks("discover")
    scene.gets("offer")
    assert scene.missing() == []


def test_an_answer_that_is_read_before_its_request_still_answers_it():
    scene = Scene()
    for request, answer in (("discover", "offer"), ("solicit", "advertise"), ("rs", "ra")):
        assert scene.gets(answer).exchanges == ()
        (exchange,) = scene.asks(request).exchanges
        assert exchange.reply == answer.upper()
    assert scene.later(60) == []


def test_an_old_offer_does_not_answer_a_new_discover():
    scene = Scene()
    scene.gets("offer")
    scene.later(30)
    scene.asks("discover")
    assert scene.later(5)


def test_an_address_without_a_route_is_told_as_such():
    scene = Scene()
    scene.asks("solicit")
    scene.gets("advertise")
    scene.asks("rs")
    (text,) = scene.later(5)
    assert "OVN gives an address but no route" in text


@pytest.mark.parametrize("answer, family", [("no-dns-offer", 4), ("no-dns-advertise", 6)])
def test_an_answer_without_dns_is_named(answer, family):
    scene = Scene()
    scene.gets(answer)
    (text,) = scene.missing()
    assert text.startswith("dns_server: ")
    assert f"dhcpV{family}Options" in text
    scene.gets(answer.removeprefix("no-dns-"))
    assert scene.missing() == []


def test_an_ra_that_invites_slaac_is_named_for_an_address_that_is_not_eui64():
    scene = Scene()
    scene.gets("slaac-ra")
    (text,) = scene.missing()
    assert text.startswith("address_mode: ")


def test_an_offer_of_another_address_is_named():
    scene = Scene(guest=replace(GUEST, ipv4=(IPv4Interface("10.16.0.8/16"),)))
    scene.gets("offer")
    (text,) = scene.missing()
    assert "10.16.0.7, which the pod does not have" in text


def test_iaid_0_is_named_as_the_cause():
    packet = parse(frame("solicit"), partial_checksum=True)
    at = packet.payload.index(b"\x00\x03\x00\x0c") + 4
    scene = Scene()
    scene.asks("solicit", payload=packet.payload[:at] + bytes(4) + packet.payload[at + 4 :])
    (text,) = scene.later(5)
    assert text.startswith("IAID 0: ")


def test_another_mac_is_named_once_and_waits_for_no_answer():
    scene = Scene()
    other = "02:00:00:00:00:99"
    first, second = (scene.asks("discover", src_mac=other) for _ in range(2))
    assert [one.warning for one in first.exchanges] == ["", "ovn-port"]
    assert f"sends from {other}" in first.exchanges[1].note
    assert [one.warning for one in second.exchanges] == [""]
    assert scene.later(60) == []


def test_a_family_that_the_pod_does_not_have_is_not_missed():
    scene = Scene(guest=replace(GUEST, ipv6=()))
    scene.asks("solicit")
    scene.asks("rs")
    assert scene.later(60) == []


@pytest.mark.parametrize("answer", ["offer", "ack", "advertise", "reply", "ra"])
def test_where_we_serve_any_other_server_is_a_rogue_named_once(answer):
    scene = Scene(by_ovn=frozenset())
    first, second = scene.gets(answer), scene.gets(answer)
    assert first.counted == second.counted == f"rogue {answer.upper()}"
    (warning,) = first.exchanges
    assert warning.warning == "rogue"
    assert str(heard(frame(answer)).server) in warning.note
    assert second.exchanges == ()
    assert scene.missing() == []


def test_many_rogues_are_counted_and_not_remembered():
    scene = Scene(by_ovn=frozenset())
    offer = heard(frame("offer"))
    sights = [
        scene.watch.from_network(replace(offer, server=IPv4Address(number)), scene.now)
        for number in range(1000)
    ]
    assert sum(len(one.exchanges) for one in sights) == 8


@given(st.binary(max_size=200), st.sampled_from([67, 68, 546, 547]), st.booleans())
def test_no_bytes_raise(payload, port, is_v4):
    ends = ("10.0.0.1", "10.0.0.2") if is_v4 else ("fe80::1", "fe80::2")
    kind = IPv4Address if is_v4 else IPv6Address
    for protocol in (17, 58):
        packet = parse(frame("ra"))._replace(
            src=kind(ends[0]),
            dst=kind(ends[1]),
            protocol=protocol,
            dport=port,
            payload=payload.ljust(4, b"\0"),
        )
        scene = Scene()
        scene.watch.from_guest(packet._replace(src_mac=GUEST.mac), scene.now)
        answer = other_servers.read(packet, packet.dst_mac)
        if answer is not None:
            scene.watch.from_network(answer, scene.now)


def test_what_was_asked_at_rest_is_no_reason_to_blame_the_network():
    """Its answer may have been multicast, which nobody listens for then; the next one counts."""
    scene = Scene()
    scene.asks("rs")
    scene.watch.forget_waits()
    scene.later(10)
    assert scene.found == {}
    scene.asks("rs")
    scene.later(10)
    assert "no RA within 5 s of RS" in scene.found["RA answer"]
