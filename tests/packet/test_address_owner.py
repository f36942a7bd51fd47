"""Whose address a frame says it is."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from binding.packet.address_owner import AddressOwner, read
from tests.dhcp.v4_wire import mac
from tests.ra.nd_wire import na

OTHER = "02:00:00:00:00:99"


def arp(operation, address):
    header = b"\xff" * 6 + mac(OTHER) + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, operation)
    return header + mac(OTHER) + ip_address(address).packed + bytes(10)


@pytest.mark.parametrize("operation", [1, 2])
def test_arp_of_any_kind_is_a_claim_of_its_sender(operation):
    assert read(arp(operation, "10.0.0.5")) == AddressOwner(ip_address("10.0.0.5"), OTHER)


def test_a_probe_claims_nothing():
    assert read(arp(1, "0.0.0.0")) is None


def test_a_neighbour_advertisement_claims_its_target():
    owner = read(na("fd00:10:244:1::5", OTHER))
    assert owner == AddressOwner(ip_address("fd00:10:244:1::5"), OTHER)


@pytest.mark.parametrize("length", [0, 13, 14, 40, 41])
def test_a_frame_that_is_cut_off_claims_nothing(length):
    assert read(arp(2, "10.0.0.5")[:length]) is None
    assert read(na("fd00::5", OTHER)[:length]) is None
