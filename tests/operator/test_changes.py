"""What `reload` says of a change: at once, at the next renewal, at the next boot, or never."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface, IPv6Network, ip_address, ip_network

import pytest

from binding.operator.changes import changes
from guest.network import Boot, EncryptedDns, GuestNetwork, TimeZone

GUEST = GuestNetwork(
    network="default",
    tap="tap0",
    mac="02:00:00:00:00:01",
    mtu=1450,
    ipv4=(IPv4Interface("10.0.0.5/24"),),
    ipv6=(IPv6Interface("fd00::5/64"),),
    dns=(ip_address("10.0.0.10"), ip_address("fd00::10")),
)


def test_nothing_changes_where_nothing_is_changed():
    found = changes(GUEST, GUEST)
    assert (found.now, found.renewal, found.boot, found.never) == ((), (), (), ())


def test_what_both_say_is_told_at_once_by_one_and_later_by_the_other():
    found = changes(GUEST, replace(GUEST, mtu=1400))
    assert found.now == ("MTU: 1400 (was 1450), by RA",)
    assert found.renewal == ("MTU: 1400 (was 1450), by DHCPv4",)


def test_an_ipv4_guest_hears_no_advertisement():
    only4 = replace(GUEST, ipv6=())
    found = changes(only4, replace(only4, mtu=1400, search=("a.example",)))
    assert found.now == ()
    assert len(found.renewal) == 2


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"provider": "kube-ovn"}, "now"),
        ({"shield": False}, "now"),
        ({"hostname": "web"}, "renewal"),
        ({"delegated": (ip_network("fd00:64::/56"),)}, "renewal"),
        ({"preference": "low"}, "now"),
        ({"delegated": (IPv6Network("fd64:7::/56"),), "ipv6_mode": "slaac"}, "renewal"),
        ({"boot": Boot(file="a.efi")}, "boot"),
        ({"cloud_init": "static"}, "boot"),
        ({"mtu": 9000}, "never"),
        ({"provider": "off"}, "never"),
    ],
)
def test_each_change_is_named_where_it_belongs(change, place):
    assert getattr(changes(GUEST, replace(GUEST, **change)), place)


RESOLVER = EncryptedDns("dns.example", (ip_address("10.0.0.53"),), ("dot",))
ZONE = TimeZone("Europe/Berlin", "CET-1CEST")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"preference": "low"}, "preference: low (was medium)"),
        ({"delegated": (IPv6Network("fd64::/56"),)}, "delegated prefixes: fd64::/56 (was none)"),
        ({"ntp_names": ("a.example",)}, "time servers by name: a.example (was none)"),
        ({"time_zone": ZONE}, "time zone: Europe/Berlin, CET-1CEST (was none)"),
        ({"cloud_init": "static"}, "cloudInit: static (was dhcp)"),
        (
            {"encrypted_dns": (RESOLVER,)},
            "encrypted DNS: dns.example at 10.0.0.53 by dot (was none)",
        ),
        (
            {"encrypted_dns": (EncryptedDns("a.example"), replace(RESOLVER, port=8853))},
            "encrypted DNS: a.example, dns.example at 10.0.0.53 port 8853 by dot (was none)",
        ),
    ],
)
def test_a_change_is_named_once_for_each_means(change, text):
    found = changes(GUEST, replace(GUEST, **change))
    named = (*found.now, *found.renewal, *found.boot)
    assert {one.partition(", by ")[0] for one in named} == {text}
    assert len(named) == len({one.partition(", by ")[2] for one in named})


@pytest.mark.parametrize("change", [{"port": 8853}, {"dohpath": "/q{?dns}"}, {"alpn": ("doq",)}])
def test_another_way_to_a_resolver_is_a_change(change):
    before = replace(GUEST, encrypted_dns=(RESOLVER,))
    assert changes(before, replace(GUEST, encrypted_dns=(replace(RESOLVER, **change),))).now


def test_the_captive_portal_is_told_by_all_three():
    found = changes(GUEST, replace(GUEST, captive_portal="https://portal.example"))
    assert len(found.now) == 1
    assert found.renewal[0].endswith("by DHCPv4 and DHCPv6")


def test_a_finite_lease_says_when_the_guest_asks():
    short = replace(GUEST, lease=600)
    assert "300 s" in changes(short, replace(short, hostname="web")).renews
    assert "infinite" in changes(GUEST, short).renews
