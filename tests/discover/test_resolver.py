"""Which NIC is told the pod's name servers and search domains, and the guest's domain names."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests import samples
from tests.samples import FLAT_LINK, ONE, discovered, overridden, route, told

SERVERS = (ip_address("10.96.0.10"), ip_address("fd00:10:96::a"))
CORPORATE = (
    "a-very-long-corporate-domain.example.com",
    "vm-ns.svc.cluster.local",
    "svc.cluster.local",
)


def pod(*links, servers=SERVERS, search=CORPORATE):
    return replace(samples.snapshot(*links, search=search), nameservers=servers)


def two_nics(**link):
    """Return what the guests of a VM with a secondary network `blue` are told."""
    blue = replace(samples.secondary("blue", "192.0.2.7/24", "2001:db8::7/64"), **link)
    return discovered(samples.vmi("03-two-iface-multus"), pod(FLAT_LINK, blue))


def test_a_nic_without_a_route_to_the_servers_is_told_neither_servers_nor_search():
    found = two_nics()
    first, second = found.guests
    assert (first.dns, first.search) == (SERVERS, CORPORATE)
    assert (second.dns, second.search, second.domain) == ((), (), "")
    assert not any("DNS" in warning.text for warning in found.warnings)


@pytest.mark.parametrize(
    "routes, told_servers",
    [
        ((route("10.96.0.0/12", "192.0.2.1"),), SERVERS[:1]),
        ((route("fd00:10:96::/112", "2001:db8::1"),), SERVERS[1:]),
        ((route("10.96.0.11/32", "192.0.2.1"),), ()),
    ],
    ids=["IPv4", "IPv6", "to another host"],
)
def test_a_nic_is_told_the_servers_that_its_routes_lead_to(routes, told_servers):
    _, second = two_nics(routes=routes).guests
    assert second.dns == told_servers
    assert second.search == (CORPORATE if told_servers else ())


DEFAULTS = (route("0.0.0.0/0", "192.0.2.1"), route("::/0", "2001:db8::1"))
HALVES = (route("0.0.0.0/1", "192.0.2.1"), route("128.0.0.0/1", "192.0.2.1"))


@pytest.mark.parametrize("routes", [DEFAULTS, HALVES], ids=["default route", "two halves of it"])
def test_of_two_default_routes_that_of_the_pods_network_leads_to_its_servers(routes):
    """networkd has a host route to each server by each NIC that tells it, of equal metric."""
    first, second = two_nics(routes=routes).guests
    assert first.dns == SERVERS
    assert (second.dns, second.search) == ((), ())


@pytest.mark.parametrize("order", [1, -1], ids=["pod network first", "pod network last"])
def test_the_only_nic_with_a_default_route_leads_to_the_servers(order):
    change = {"dsbridge.io/default": '{"defaultRoute": false}'}
    vmi = samples.vmi("03-two-iface-multus", change)
    vmi = replace(vmi, interfaces=vmi.interfaces[::order])
    blue = replace(samples.secondary("blue", "192.0.2.7/24", "2001:db8::7/64"), routes=DEFAULTS)
    told = {one.network: one for one in discovered(vmi, pod(FLAT_LINK, blue)).guests}
    assert (told["default"].dns, told["blue"].dns) == ((), SERVERS)
    assert told["blue"].search == CORPORATE


def test_a_server_behind_another_route_than_the_default_one_has_a_host_route_of_its_own():
    """networkd takes the servers of a lease without a default route to be on its link."""
    narrow = {"to": "10.96.0.0/12", "via": "10.244.1.1"}
    host = route("10.96.0.10/32", "10.244.1.1")
    guest = overridden(pod(FLAT_LINK), defaultRoute=False, routes=[narrow], ntp=["10.244.1.77"])
    assert [one for one in guest.routes if one.destination.prefixlen == 32] == [host]
    assert host not in overridden(pod(FLAT_LINK), routes=[narrow]).routes
    nearer = {"to": "10.96.0.0/16", "via": "10.244.1.9"}
    guest = overridden(pod(FLAT_LINK), defaultRoute=False, routes=[narrow, nearer])
    assert route("10.96.0.10/32", "10.244.1.9") in guest.routes


@pytest.mark.parametrize(("key", "servers"), [("ipv4", SERVERS[:1]), ("ipv6", SERVERS[1:])])
def test_a_family_that_is_off_on_the_pods_network_leads_to_no_server_there(key, servers):
    vmi = samples.vmi("03-two-iface-multus", {"dsbridge.io/default": json.dumps({key: "off"})})
    blue = replace(samples.secondary("blue", "192.0.2.7/24", "2001:db8::7/64"), routes=DEFAULTS)
    assert discovered(vmi, pod(FLAT_LINK, blue)).guests[1].dns == servers


@pytest.mark.parametrize(
    "state, servers", [("up", ()), ("absent", SERVERS)], ids=["masquerade", "no NIC at all"]
)
def test_kubevirt_tells_the_pods_servers_by_a_nic_of_another_binding(state, servers):
    vmi = samples.vmi("03-two-iface-multus", binding=None, masquerade={}, state=state)
    blue = replace(samples.secondary("blue", "192.0.2.7/24", "2001:db8::7/64"), routes=DEFAULTS)
    (guest,) = discovered(vmi, pod(FLAT_LINK, blue)).guests
    assert guest.dns == servers


def test_a_server_on_the_nics_own_subnet_is_told():
    blue = samples.secondary("blue", "10.96.0.7/24")
    _, second = discovered(samples.vmi("03-two-iface-multus"), pod(FLAT_LINK, blue)).guests
    assert second.dns == SERVERS[:1]


def test_servers_of_the_annotation_are_told_whatever_the_routes():
    guest = overridden(pod(FLAT_LINK), dns=["203.0.113.53"], defaultRoute=False)
    assert guest.dns == (ip_address("203.0.113.53"),)
    assert guest.search == CORPORATE


def test_a_pod_network_whose_servers_are_out_of_reach_is_named():
    vmi = samples.vmi("01-single-binding", {"dsbridge.io/default": '{"defaultRoute": false}'})
    (warning,) = discovered(vmi, pod(FLAT_LINK)).warnings
    assert "the guest gets no DNS server: none of its routes leads to 10.96.0.10" in warning.text


@pytest.mark.parametrize("subdomain", ["", "web"])
def test_option_15_is_the_first_domain_and_the_fqdn_is_the_clusters(subdomain):
    vmi = replace(ONE, namespace="vm-ns", subdomain=subdomain, hostname="vm1")
    guest = told(vmi, pod(FLAT_LINK))
    if subdomain:
        assert guest.search == ("web.vm-ns.svc.cluster.local", *CORPORATE)
        assert guest.fqdn == "vm1.web.vm-ns.svc.cluster.local"
    else:
        assert guest.search == CORPORATE
        assert guest.fqdn == "vm1", "DNS has no name for it (RFC 4704 section 4.2)"
    assert guest.domain == guest.search[0]


def test_a_corporate_service_domain_is_not_taken_for_the_clusters():
    search = ("svc.intern.svc.example", "vm-ns.svc.k8s.example")
    vmi = replace(ONE, namespace="vm-ns", subdomain="web", hostname="vm1")
    assert told(vmi, pod(FLAT_LINK, search=search)).fqdn == "vm1.web.vm-ns.svc.k8s.example"
