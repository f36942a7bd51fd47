"""A value that crosses to another process arrives as it was sent."""

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface

import pytest

from binding.ipc.codec import decode, encode
from binding.ipc.snapshot import Link, Snapshot, merged
from guest.network import GuestNetwork, Route
from tests.samples import GUEST


def test_a_guest_with_every_field_arrives_equal():
    assert decode(tuple[GuestNetwork, ...], encode((GUEST, GUEST))) == (GUEST, GUEST)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'[{"network": 1}]', b'[{"surprise": 1}]'])
def test_what_is_no_value_of_ours_raises_and_is_not_half_built(text):
    with pytest.raises(ValueError, match=r"Error|Expecting"):
        decode(tuple[GuestNetwork, ...], text)


def link(name, index, **known):
    return Link(name=name, index=index, mac="52:54:00:00:00:01", mtu=1500, **known)


ADDRESS = (IPv4Interface("10.0.0.5/24"),)
ROUTE = Route(IPv4Network("10.9.0.0/16"))


def test_a_link_that_kept_its_index_is_taken_as_it_is_now():
    saved = Snapshot(7, (link("eth0", 2),))
    fresh = Snapshot(7, (link("eth0", 2, addresses=ADDRESS),))
    assert merged(fresh, saved) == fresh


def test_a_name_that_went_to_the_placeholder_is_taken_as_the_cni_made_it():
    saved = Snapshot(7, (link("eth0", 2, addresses=ADDRESS),))
    fresh = Snapshot(7, (link("eth0", 9), link("eth0-nic", 2)))
    assert merged(fresh, saved).link("eth0") == saved.link("eth0")
    assert merged(fresh, saved).link("eth0-nic") is None  # wiring made that name


def test_what_the_cni_changes_of_a_rewired_link_is_taken_as_it_is_now():
    saved = Snapshot(7, (link("eth0", 2, addresses=ADDRESS, routes=(ROUTE,)),))
    more = (*ADDRESS, IPv6Interface("fd00::5/64"))
    placeholder = link("eth0", 9, addresses=more)
    nic = replace(link("eth0-nic", 2), mtu=1300)
    now = merged(Snapshot(7, (placeholder, nic)), saved).link("eth0")
    assert (now.index, now.addresses, now.mtu, now.routes) == (2, more, 1300, (ROUTE,))


def test_a_placeholder_without_addresses_of_a_family_takes_none_away():
    saved = Snapshot(7, (link("eth0", 2, addresses=ADDRESS),))
    assert merged(Snapshot(7, (link("eth0", 9),)), saved).link("eth0").addresses == ADDRESS


def test_a_snapshot_of_another_pod_is_not_used():
    saved = Snapshot(6, (link("eth0", 2, addresses=ADDRESS),))
    fresh = Snapshot(7, (link("eth0", 9),))
    assert merged(fresh, saved) == fresh
