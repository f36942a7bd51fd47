"""Addresses and routes of a guest from those of its pod."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Network, ip_address, ip_interface

import pytest

from tests import samples
from tests.samples import (
    CALICO,
    FLAT_LINK,
    GATEWAY_MAC,
    KINDNET,
    MANAGED,
    ONE,
    discovered,
    overridden,
    route,
    told,
)

# Addresses and routes


def test_flat_pod():
    guest = told(ONE)
    assert guest.ipv4 == (ip_interface("10.244.1.5/24"),)
    assert guest.ipv6 == (ip_interface("fd00:10:244:1::5/64"),)
    assert guest.routes == (route("0.0.0.0/0", "10.244.1.1"), route("::/0", "fd00:10:244:1::1"))
    assert guest.gateway_lladdrs == ((ip_address("10.244.1.1"), GATEWAY_MAC),)


def test_kindnet_pod_has_no_neighbour_but_its_gateway():
    guest = told(ONE, KINDNET)
    assert guest.ipv4 == (ip_interface("10.244.1.5/32"),)
    assert guest.ipv6 == (ip_interface("fd00:10:244:1::5/128"),)
    assert set(guest.routes) == {
        route("0.0.0.0/0", "10.244.1.1"),
        route("10.244.1.0/24", "10.244.1.1"),
        route("10.244.1.1/32"),
        route("::/0", "fd00:10:244:1::1"),
        route("fd00:10:244:1::/64", "fd00:10:244:1::1"),
        route("fd00:10:244:1::1/128"),
    }


def test_calico_pod_reaches_its_gateway_by_a_host_route_that_comes_first():
    guest = told(ONE, CALICO)
    assert guest.ipv4 == (ip_interface("10.244.1.5/32"),)
    assert guest.ipv6 == (ip_interface("fd00:10:244:1::5/128"),)
    assert guest.routes == (
        route("169.254.1.1/32"),
        route("0.0.0.0/0", "169.254.1.1"),
        route("::/0", "fe80::ecee:eeff:feee:eeee"),
    )


def test_a_gateway_that_the_pod_has_flagged_onlink_gets_a_host_route():
    link = samples.pod_link("eth0", ("10.0.0.5/32",), (route("0.0.0.0/0", "10.9.9.9"),))
    assert told(ONE, samples.snapshot(link)).routes == (
        route("10.9.9.9/32"),
        route("0.0.0.0/0", "10.9.9.9"),
    )


def test_of_two_default_routes_the_one_of_lower_metric_counts():
    link = replace(FLAT_LINK, routes=(*FLAT_LINK.routes, route("0.0.0.0/0", "10.244.1.254")))
    assert told(ONE, samples.snapshot(link)).routes == told(ONE).routes


def test_link_local_destinations_are_no_routes_for_a_guest():
    routes = (*FLAT_LINK.routes, route("fe80::ecee:eeff:feee:eeee/128"))
    link = replace(FLAT_LINK, routes=routes)
    assert told(ONE, samples.snapshot(link)).routes == told(ONE).routes


def test_several_addresses_keep_their_order_and_other_routes_stay():
    link = samples.pod_link(
        "eth0",
        ("10.0.0.5/24", "10.7.0.5/24", "fd00::5/64", "fd07::5/64"),
        (
            route("0.0.0.0/0", "10.0.0.1"),
            route("10.0.0.0/24"),
            route("10.7.0.0/24"),
            route("172.16.0.0/12", "10.7.0.1"),
            route("192.168.0.0/16"),
            route("fd00::/64"),
            route("fd07::/64"),
        ),
    )
    guest = told(ONE, samples.snapshot(link))
    assert guest.ipv4 == (ip_interface("10.0.0.5/24"), ip_interface("10.7.0.5/24"))
    assert guest.ipv6 == (ip_interface("fd00::5/64"), ip_interface("fd07::5/64"))
    assert set(guest.routes) == {
        route("0.0.0.0/0", "10.0.0.1"),
        route("172.16.0.0/12", "10.7.0.1"),
        route("192.168.0.0/16"),
    }


@pytest.mark.parametrize("family", [4, 6])
def test_a_pod_of_one_family(family):
    link = replace(
        FLAT_LINK,
        addresses=tuple(a for a in FLAT_LINK.addresses if a.version == family),
        routes=tuple(r for r in FLAT_LINK.routes if r.destination.version == family),
    )
    guest = told(ONE, samples.snapshot(link))
    assert (bool(guest.ipv4), bool(guest.ipv6)) == (family == 4, family == 6)
    assert (guest.default4 is not None, guest.default6 is not None) == (family == 4, family == 6)


def test_a_nic_without_ipam_is_served_nothing():
    guest = told(ONE, samples.snapshot(replace(FLAT_LINK, addresses=(), routes=())))
    assert (guest.ipv4, guest.ipv6, guest.routes) == ((), (), ())


def test_a_nic_without_ipam_is_served_the_addresses_of_its_override():
    bare = samples.snapshot(replace(FLAT_LINK, addresses=(), routes=()))
    guest = overridden(bare, addresses=["192.0.2.5/24"], gateways=["192.0.2.1"])
    assert guest.ipv4 == (ip_interface("192.0.2.5/24"),)
    assert guest.routes == (route("0.0.0.0/0", "192.0.2.1"),)


def test_addresses_of_the_override_replace_the_pods_and_keep_its_gateways():
    guest = overridden(addresses=["10.244.1.77/24", "fd00:10:244:1::77/64"])
    assert guest.ipv4 == (ip_interface("10.244.1.77/24"),)
    assert guest.ipv6 == (ip_interface("fd00:10:244:1::77/64"),)
    assert guest.routes == (route("0.0.0.0/0", "10.244.1.1"), route("::/0", "fd00:10:244:1::1"))


def test_the_pods_subnet_is_not_on_link_for_a_guest_with_addresses_of_another():
    guest = overridden(addresses=["10.9.9.5/24"], gateways=["10.9.9.1"])
    assert guest.routes == (route("0.0.0.0/0", "10.9.9.1"),)


@pytest.mark.parametrize("ends", [["10.0.0.0/31"], ["10.0.0.1/31"], ["10.0.0.0/32"]])
def test_in_the_smallest_subnets_every_address_is_a_hosts(ends):
    assert overridden(addresses=ends).ipv4 == tuple(map(ip_interface, ends))


def test_a_family_whose_addresses_the_override_leaves_out_has_no_routes():
    guest = overridden(addresses=["10.244.1.77/24"])
    assert guest.ipv6 == ()
    assert guest.routes == (route("0.0.0.0/0", "10.244.1.1"),)


def test_a_gateway_of_the_override_replaces_the_default_of_its_family():
    guest = overridden(gateways=["10.244.1.9"])
    assert guest.default4 == route("0.0.0.0/0", "10.244.1.9")
    assert guest.default6 == route("::/0", "fd00:10:244:1::1")


def test_default_route_false_leaves_the_other_routes():
    guest = overridden(KINDNET, defaultRoute=False)
    assert (guest.default4, guest.default6) == (None, None)
    assert route("10.244.1.0/24", "10.244.1.1") in guest.routes


def test_routes_of_the_override_replace_all_but_the_defaults():
    guest = overridden(KINDNET, routes=[{"to": "192.168.0.0/16", "via": "10.244.1.1"}])
    assert set(guest.routes) == {
        route("10.244.1.1/32"),
        route("0.0.0.0/0", "10.244.1.1"),
        route("::/0", "fd00:10:244:1::1"),
        route("192.168.0.0/16", "10.244.1.1"),
    }


def test_a_default_among_the_routes_of_the_override_replaces_the_pods():
    guest = overridden(routes=[{"to": "0.0.0.0/0", "via": "10.244.1.9"}])
    assert guest.default4 == route("0.0.0.0/0", "10.244.1.9")


# Migration


def test_a_migration_target_deprecates_the_prefixes_that_the_guest_loses():
    vmi = samples.vmi("13-migration-target")
    assert told(vmi).deprecated == ()
    moved = replace(FLAT_LINK, addresses=(ip_interface("fd00:10:244:2::9/64"),), routes=())
    guest = told(vmi, samples.snapshot(moved))
    assert guest.migration_target
    assert guest.deprecated == (IPv6Network("fd00:10:244:1::/64"),)
    assert told(replace(vmi, migration_target=False), samples.snapshot(moved)).deprecated == ()


def test_what_a_guest_agent_claims_cannot_grow_the_advertisement():
    vmi = samples.vmi("13-migration-target")
    status = replace(
        vmi.status("default"),
        addresses=tuple(ip_address(f"2001:db8:0:{n:x}::1") for n in range(1000)),
    )
    assert len(told(replace(vmi, statuses={"default": status})).deprecated) == 8


def test_equal_input_gives_an_equal_value():
    vmi = samples.vmi("09-all-fields")
    assert discovered(vmi, CALICO, MANAGED) == discovered(vmi, CALICO, MANAGED)
