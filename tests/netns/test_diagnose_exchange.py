"""Requests that lead to no lease, and leases that end: what `diagnose` says, and the log."""

from __future__ import annotations

import pytest

from tests.bed.diagnosis import (
    booted,
    harmed,
    udhcpc,
    until_logged,
)
from tests.bed.guest_frames import address4, dhcp4, dhcp6, gateway4, send
from tests.dhcp import v4_wire, v6_wire

OTHER = "02:00:00:00:00:99"


def test_another_mac():
    with booted() as vm:
        vm.guest.ip(f"link set eth0 down\nlink set eth0 address {OTHER} up")
        send(vm, dhcp4(vm, v4_wire.DISCOVER, sender=OTHER))
        harmed(vm, "other-mac", OTHER)
        until_logged(vm, f"silence to DISCOVER: from another MAC, {OTHER}")


def test_a_request_that_is_malformed():
    with booted(speaks_ipv6=False) as vm:
        send(vm, dhcp4(vm, v4_wire.REQUEST, (50, bytes(3))))
        harmed(vm, "malformed", "DHCPv4 REQUEST: ", "(50) of 3 octets", "so it lacks 10.244.1.5")
        until_logged(vm, "silence to malformed: DHCPv4 REQUEST: ")


@pytest.mark.parametrize(
    ("frame", "text", "log"),
    [
        pytest.param(
            lambda vm: dhcp4(vm, v4_wire.DISCOVER),
            "OFFER without REQUEST",
            "OFFER to DISCOVER",
            id="DHCPv4",
        ),
        pytest.param(
            lambda vm: dhcp6(vm, v6_wire.SOLICIT, v6_wire.ia_na(1)),
            "ADVERTISE without DHCPv6 REQUEST",
            "ADVERTISE to SOLICIT",
            id="DHCPv6",
        ),
    ],
)
def test_an_offer_that_is_not_taken(frame, text, log):
    with booted(speaks_ipv6=False) as vm:
        send(vm, frame(vm))
        harmed(vm, "no-request", text)
        until_logged(vm, log)


def test_an_address_that_is_refused():
    with booted() as vm:
        send(vm, dhcp4(vm, v4_wire.REQUEST, (50, bytes([10, 244, 9, 9]))))
        harmed(vm, "refused-address", "NAK", "10.244.9.9")
        until_logged(vm, "NAK to REQUEST")


@pytest.mark.parametrize(
    ("options", "fields", "why"),
    [
        pytest.param(
            lambda vm: [(50, address4(vm)), (54, bytes([10, 244, 1, 66]))],
            {},
            "for another server",
            id="another server",
        ),
        pytest.param(
            lambda vm: [(50, address4(vm))],
            {"giaddr": v4_wire.SERVER},
            "relayed by",
            id="relayed",
        ),
        pytest.param(
            lambda vm: [(50, address4(vm))],
            {"chaddr": v4_wire.mac(OTHER)},
            "for another MAC",
            id="chaddr",
        ),
    ],
)
def test_requests_that_get_silence(options, fields, why):
    with booted() as vm:
        send(vm, dhcp4(vm, v4_wire.REQUEST, *options(vm), **fields))
        anchor = "other-mac" if "MAC" in why else "silence"
        harmed(vm, anchor, f"its REQUEST gets no answer ({why}")
        until_logged(vm, f"silence to REQUEST: {why}")


def test_an_address_that_was_released():
    with booted() as vm:
        udhcpc(vm)
        server = (54, gateway4(vm).packed)
        send(vm, dhcp4(vm, v4_wire.RELEASE, server, ciaddr=vm.pod.layout.ipv4[0].ip))
        harmed(vm, "released", "the guest has released 10.244.1.5")
        until_logged(vm, "silence to RELEASE: 10.244.1.5")


def test_an_address_that_was_declined():
    with booted() as vm:
        udhcpc(vm)
        options = (50, address4(vm)), (54, gateway4(vm).packed)
        send(vm, dhcp4(vm, v4_wire.DECLINE, *options))
        harmed(vm, "declined", "the guest has declined 10.244.1.5")
        until_logged(vm, "in use elsewhere")
