"""A value that crosses to another process arrives as it was sent."""

from ipaddress import IPv4Interface

import pytest

from binding.ipc.codec import decode, encode
from binding.ipc.snapshot import Link, Snapshot, merged
from guest.network import GuestNetwork
from tests.samples import GUEST


def test_a_guest_with_every_field_arrives_equal():
    assert decode(tuple[GuestNetwork, ...], encode((GUEST, GUEST))) == (GUEST, GUEST)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'[{"network": 1}]', b'[{"surprise": 1}]'])
def test_what_is_no_value_of_ours_raises_and_is_not_half_built(text):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        decode(tuple[GuestNetwork, ...], text)


def link(name, index, **known):
    return Link(name=name, index=index, mac="52:54:00:00:00:01", mtu=1500, **known)


ADDRESS = (IPv4Interface("10.0.0.5/24"),)


def test_a_link_that_kept_its_index_is_taken_as_it_is_now():
    saved = Snapshot(7, (link("eth0", 2),))
    fresh = Snapshot(7, (link("eth0", 2, addresses=ADDRESS),))
    assert merged(fresh, saved) == fresh


def test_a_name_that_went_to_the_placeholder_is_taken_as_the_cni_made_it():
    saved = Snapshot(7, (link("eth0", 2, addresses=ADDRESS),))
    fresh = Snapshot(7, (link("eth0", 9), link("eth0-nic", 2)))
    assert merged(fresh, saved).link("eth0") == saved.link("eth0")
    assert merged(fresh, saved).link("eth0-nic") == fresh.link("eth0-nic")


def test_a_snapshot_of_another_pod_is_not_used():
    saved = Snapshot(6, (link("eth0", 2, addresses=ADDRESS),))
    fresh = Snapshot(7, (link("eth0", 9),))
    assert merged(fresh, saved) == fresh
