"""A value that crosses to another process arrives as it was sent."""

from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)

import pytest

from binding.ipc.codec import decode, encode
from binding.ipc.snapshot import Link, Snapshot, merged
from guest.network import Boot, GuestNetwork, Route

GUEST = GuestNetwork(
    network="default",
    tap="tap0",
    mac="52:54:00:12:34:56",
    mtu=1450,
    shape="own",
    provider="auto",
    uid="00000000-0000-4000-8000-000000000001",
    ipv4=(IPv4Interface("10.244.1.5/24"),),
    ipv6=(IPv6Interface("fd00:10:244:1::5/64"),),
    routes=(
        Route(IPv4Network("0.0.0.0/0"), IPv4Address("10.244.1.1")),
        Route(IPv6Network("::/0"), IPv6Address("fe80::1")),
        Route(IPv4Network("169.254.1.1/32")),
    ),
    gateway_lladdrs=((IPv6Address("fe80::1"), "ee:ee:ee:ee:ee:ee"),),
    deprecated=(IPv6Network("fd00:9::/64"),),
    lease=3600,
    search=("default.svc.cluster.local",),
    dns=(IPv4Address("10.96.0.10"), IPv6Address("fd00:10:96::a")),
    boot=Boot(file="pxelinux.0", by_arch=((7, "grub.efi"),), parameters=("a", "b")),
    private=((224, b"\0\xff"),),
    pref64=IPv6Network("64:ff9b::/96"),
)


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
