"""Guests of every configuration that a reader's answer depends on."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface

from guest.network import Boot, Route
from tests.samples import GUEST

MAC = GUEST.mac
_IN_POD = replace(GUEST, provider="in-pod", nic="eth0-nic")
_BARE = replace(_IN_POD, routes=(), dns=(), search=(), boot=Boot(), private=(), lease=None)
GUESTS = (
    _IN_POD,
    replace(
        _IN_POD,
        mtu=1280,
        hostname="vm1",
        fqdn_domain="x.default.svc.cluster.local",
        boot=Boot("pxelinux.0", "10.0.0.9", ((7, "a.efi"),), "http://[fd00::1]/x", ("a",), (), "i"),
        ntp=(IPv4Address("10.0.0.1"), IPv6Address("fd00::1")),
        captive_portal="https://portal.example.org/",
        ipv6_only=1800,
    ),
    replace(_BARE, ipv4=(), ipv6_only=300, ipv6_mode="slaac"),
    replace(_BARE, ipv6=(), ipv6_mode="off", mtu=68, ipv4=(IPv4Interface("10.244.1.5/32"),)),
    replace(
        _IN_POD,
        ipv4=tuple(IPv4Interface(f"10.244.{one}.5/24") for one in range(4)),
        ipv6=tuple(IPv6Interface(f"fd00:{one:x}::5/64") for one in range(40)),
        ipv6_mode="both",
        search=tuple(f"{'a' * 40}{one}.{'b' * 60}.example.org" for one in range(20)),
        routes=tuple(
            Route(IPv4Network(f"10.{one}.0.0/16"), IPv4Address("10.244.1.1")) for one in range(90)
        ),
        permanent_neighbors=(
            (IPv4Address("169.254.1.1"), "ee:ee:ee:ee:ee:ee"),
            (IPv6Address("fe80::1"), "ee:ee:ee:ee:ee:ee"),
        ),
    ),
    replace(_IN_POD, provider="kube-ovn"),
    replace(_IN_POD, provider="auto"),
    replace(_IN_POD, migration_target=True),
)  # fmt: skip
