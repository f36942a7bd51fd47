"""The DNS of a secondary network, as multus has it in the pod's annotation."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from ipaddress import ip_address

import pytest

from binding.discover import network_status
from binding.discover.network_status import NetworkDns, dns_by_link
from tests import samples
from tests.samples import FLAT_LINK, discovered, route

BLUE = "pod16477688c0e"
SERVERS = (ip_address("192.0.2.53"), ip_address("2001:db8::53"))
DNS = {"nameservers": ["192.0.2.53", "2001:db8::53"], "search": ["blue.example"]}


def status(dns, interface=BLUE):
    """Return the annotations of a pod with multus, after version 4.2."""
    eth0 = {"name": "cbr0", "interface": "eth0", "ips": ["10.244.1.5"], "default": True, "dns": {}}
    blue = {"name": "ns1/blue", "interface": interface, "mac": "02:00:00:00:00:07", "dns": dns}
    return {network_status.ANNOTATION: json.dumps([eth0, blue], indent=4)}


def pod(**link):
    blue = samples.secondary("blue", "192.0.2.7/24", "2001:db8::7/64")
    return samples.snapshot(FLAT_LINK, replace(blue, **link))


def told(annotations, change=None, instance=None, made=None):
    """Return what the two guests of a VM with a secondary network are told, and the warnings."""
    given = {} if change is None else {"dsbridge.io/blue": json.dumps(change)}
    vmi = instance or samples.vmi("03-two-iface-multus", given)
    found = discovered(vmi, made or pod(), annotations=annotations)
    return (*found.guests, tuple(": ".join(one) for one in found.warnings))


def test_a_secondary_nic_is_told_its_networks_servers_and_search():
    first, second, warnings = told(status(DNS))
    assert (second.dns, second.search, second.domain) == (
        SERVERS,
        ("blue.example",),
        "blue.example",
    )
    assert first == told({})[0]
    assert not warnings


def test_a_network_without_a_search_list_has_its_domain():
    assert told(status({"nameservers": DNS["nameservers"], "domain": "Blue.Example."}))[
        1
    ].search == ("blue.example",)


def test_the_clusters_search_list_is_not_told_beside_the_networks_own_servers():
    second = told(status({"nameservers": ["192.0.2.53"]}))[1]
    assert (second.dns, second.search) == (SERVERS[:1], ())


@pytest.mark.parametrize("interface", ["net1", BLUE])
def test_a_pod_with_ordinal_link_names_is_understood(interface):
    made = samples.snapshot(FLAT_LINK, samples.secondary("blue", "192.0.2.7/24", name="net1"))
    second = told(status(DNS, interface), made=made)[1]
    assert second.dns == (SERVERS[:1] if interface == "net1" else ())


def test_a_server_that_no_route_of_the_nic_leads_to_is_named_and_not_told():
    _, second, warnings = told(status({"nameservers": ["203.0.113.53", "192.0.2.53"]}))
    assert second.dns == SERVERS[:1]
    (warning,) = warnings
    assert "blue: the network's DNS 203.0.113.53 is not told" in warning
    _, second, _ = told(status({"nameservers": ["10.96.0.10"], "search": ["blue.example"]}))
    assert (second.dns, second.search) == ((), ())


def test_a_gateway_of_the_annotation_leads_to_it():
    _, second, warnings = told(
        status({"nameservers": ["203.0.113.53"]}), {"gateways": ["192.0.2.1"]}
    )
    assert second.dns == (ip_address("203.0.113.53"),)
    assert not warnings


def test_the_networks_servers_go_before_the_pods_that_are_reachable():
    made = pod(routes=(route("192.0.2.0/24"), route("10.96.0.0/12", "192.0.2.1")))
    second = told(status(DNS), made=made)[1]
    assert second.dns == SERVERS
    second = told(status({"search": ["blue.example"]}), made=made)[1]
    assert second.dns == (ip_address("10.96.0.10"),)
    assert second.search == ("blue.example",)


@pytest.mark.parametrize(
    ("change", "dns", "search"),
    [
        ({"dns": ["192.0.2.9"]}, (ip_address("192.0.2.9"),), ("ns1.svc.cluster.local",)),
        ({"dns": []}, (), ("ns1.svc.cluster.local",)),
        ({"search": ["x.example"]}, SERVERS, ("x.example",)),
        ({"dns": ["192.0.2.9"], "search": []}, (ip_address("192.0.2.9"),), ()),
    ],
)
def test_settings_of_the_nic_win(change, dns, search):
    second = told(status(DNS), change)[1]
    assert (second.dns, second.search) == (dns, search)


def test_the_pods_own_network_keeps_the_pods_servers():
    """Its `dns` is the CNI's, and a pod's dnsPolicy stands above it."""
    annotations = status(DNS, "eth0")
    assert told(annotations)[:2] == told({})[:2]


# Python 3.11.0rc1, which is Ubuntu 22.04's, reads a number of any length.
DIGITS = "it is not JSON" if hasattr(sys, "get_int_max_str_digits") else "must be an array"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ""),
        ("[]", ""),
        ("null", ""),
        ('[{"dns": {"nameservers": ["192.0.2.53"]}}]', ""),
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("1" * 5_000, DIGITS),
        ("{}", "must be an array"),
        ("[1]", "must be an object"),
        ('[{"interface": 1}]', "[0].interface: 1 must be a string"),
        ('[{"interface": "x", "dns": []}]', "[0].dns"),
        ('[{"interface": "x", "dns": {"nameservers": "1.1.1.1"}}]', "must be an array"),
        ('[{"interface": "x", "dns": {"nameservers": [{}]}}]', "must be a string"),
        ('[{"interface": "x", "dns": {"nameservers": ["dns.example"]}}]', "is no address"),
        ('[{"interface": "x", "dns": {"nameservers": ["fe80::1%eth0"]}}]', "is no address"),
        ('[{"interface": "x", "dns": {"nameservers": ["127.0.0.53"]}}]', "is no address"),
        ('[{"interface": "x", "dns": {"search": ["a..b"]}}]', "'a..b' is no DNS name"),
        ('[{"interface": "x", "dns": {"domain": "\\ud800"}}]', "is no DNS name"),
    ],
)
def test_what_cannot_be_read_is_left_out_with_a_warning(text, says):
    warnings: list[str] = []
    assert dns_by_link({network_status.ANNOTATION: text}, warnings) == {}
    assert [says in one and network_status.ANNOTATION in one for one in warnings] == (
        [True] if says else []
    )


def test_one_bad_entry_leaves_the_others():
    text = json.dumps([{"interface": "a", "dns": 1}, {"interface": "b", "dns": DNS}])
    warnings: list[str] = []
    found = dns_by_link({network_status.ANNOTATION: text}, warnings)
    assert found == {"b": NetworkDns(SERVERS, ("blue.example",))}
    assert len(warnings) == 1


def test_a_flood_of_entries_is_a_few():
    dns = {"nameservers": [f"192.0.2.{n}" for n in range(1, 200)], "search": ["a..b"] * 100}
    warnings: list[str] = []
    found = dns_by_link(status(dns), warnings)
    assert len(found[BLUE].nameservers) == 16
    bad = json.dumps([{"interface": "x", "dns": {"nameservers": ["x"] * 99}}] * 99)
    dns_by_link({network_status.ANNOTATION: bad}, warnings)
    assert len(warnings) <= 24
