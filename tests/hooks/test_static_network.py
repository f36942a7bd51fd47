"""`cloudInit: static`: what networkData says of a NIC whose guest has no DHCP client."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network
from typing import Any

import pytest

from binding.hooks.cloud_init import CloudInitError, complete, warnings
from guest.network import GuestNetwork, Route
from tests import samples
from tests.hooks.test_cloud_init import DATA, MAC, SECOND
from tests.hooks.test_cloud_init import GUEST as BY_DHCP

V4, V6 = ip_network("0.0.0.0/0"), ip_network("::/0")
GUEST = replace(
    BY_DHCP,
    routes=(
        Route(V4, IPv4Address("10.0.0.1")),
        Route(V6, IPv6Address("fe80::1")),
        Route(ip_network("fd01::/48"), IPv6Address("fd00::1")),
    ),
    dns=(IPv4Address("10.96.0.10"), IPv6Address("fd00:10:96::a")),
    search=("cluster.local",),
    cloud_init="static",
)
CALICO = replace(
    GUEST,
    ipv4=(ip_interface("192.168.7.5/32"),),
    ipv6=(ip_interface("fd00:7::5/128"),),
    routes=(
        Route(ip_network("169.254.1.1/32")),
        Route(V4, IPv4Address("169.254.1.1")),
        Route(V6, IPv6Address("fe80::ecee:eeff:feee:eeee")),
    ),
)
CILIUM = replace(CALICO, routes=(Route(V6, IPv6Address("fd00:10::aa")),), ipv4=())


def config(*guests: GuestNetwork) -> dict[str, Any]:
    return json.loads(json.loads(complete(json.dumps(DATA).encode(), guests))["NetworkData"])


def entry(guest: GuestNetwork) -> dict[str, Any]:
    (found,) = config(guest)["ethernets"].values()
    return found


def default6(via):
    """The default route, and halves of it for renderers that make ::/64 of ::/0."""
    return [{"to": to, "via": via, "on-link": True} for to in ("::/0", "::/1", "8000::/1")]


def test_version_2_has_all_that_a_guest_would_learn_by_dhcp_and_ra():
    assert entry(GUEST) == {
        "match": {"macaddress": MAC},
        **dict.fromkeys(("dhcp4", "dhcp6", "accept-ra"), False),
        "mtu": 1450,
        "addresses": ["10.0.0.5/24", "fd00::5/64"],
        "routes": [
            {"to": "0.0.0.0/0", "via": "10.0.0.1"},
            *default6("fe80::1"),
            {"to": "fd01::/48", "via": "fd00::1"},
        ],
        "nameservers": {
            "addresses": ["10.96.0.10", "fd00:10:96::a"],
            "search": ["cluster.local"],
        },
    }


def test_gateways_outside_the_subnet_are_on_link_and_have_a_route_of_their_own():
    """netplan knows on-link; cloud-init's other renderers need the host route."""
    assert entry(CALICO)["routes"] == [
        {"to": "169.254.1.1/32", "via": "0.0.0.0"},
        {"to": "0.0.0.0/0", "via": "169.254.1.1", "on-link": True},
        *default6("fe80::ecee:eeff:feee:eeee"),
    ]
    assert entry(CILIUM)["routes"] == [
        {"to": "fd00:10::aa/128", "via": "::"},
        *default6("fd00:10::aa"),
    ]


def test_version_1_says_the_same():
    found = config(replace(CALICO, cloud_init="static-v1"))
    assert found == {
        "version": 1,
        "config": [
            {
                "type": "physical",
                "name": "enp1s0",
                "mac_address": MAC,
                "mtu": 1450,
                "accept-ra": False,
                "subnets": [
                    {
                        "type": "static",
                        "address": "192.168.7.5/32",
                        "gateway": "169.254.1.1",
                        "routes": [{"network": "169.254.1.1", "prefix": 32, "gateway": "0.0.0.0"}],
                        "dns_nameservers": ["10.96.0.10"],
                        "dns_search": ["cluster.local"],
                    },
                    {
                        "type": "static6",
                        "address": "fd00:7::5/128",
                        "gateway": "fe80::ecee:eeff:feee:eeee",
                        "dns_nameservers": ["fd00:10:96::a"],
                    },
                ],
            }
        ],
    }


def test_version_1_keeps_servers_of_a_family_without_address():
    (nic,) = config(replace(GUEST, cloud_init="static-v1", ipv6=()))["config"]
    (subnet,) = nic["subnets"]
    assert subnet["dns_nameservers"] == ["10.96.0.10", "fd00:10:96::a"]
    assert "routes" not in subnet


def test_a_nic_by_dhcp_stands_beside_a_static_one_in_either_version():
    second = replace(SECOND, ipv6=GUEST.ipv6)
    found = config(GUEST, second)
    assert found["ethernets"]["enp2s0"]["dhcp4"]
    found = config(replace(GUEST, cloud_init="static-v1"), second)
    assert found["config"][1]["subnets"] == [{"type": "dhcp4"}, {"type": "dhcp6"}]
    alone = replace(second, ipv4=(), ipv6_mode="slaac")
    found = config(replace(GUEST, cloud_init="static-v1"), alone)
    assert found["config"][1]["subnets"] == [{"type": "ipv6_slaac"}]


@pytest.mark.parametrize(
    ("change", "addresses"),
    [
        ({"ipv4_mode": "off"}, ["fd00::5/64"]),
        ({"ipv6_mode": "off"}, ["10.0.0.5/24"]),
        ({"ipv6_mode": "slaac"}, ["10.0.0.5/24", "fd00::5/64"]),
        ({"provider": "kube-ovn"}, ["10.0.0.5/24", "fd00::5/64"]),
    ],
)
def test_only_families_that_the_guest_has_are_written(change, addresses):
    found = entry(replace(GUEST, **change))
    assert found["addresses"] == addresses
    versions = {":" in route["to"] for route in found["routes"]}
    assert versions == {":" in address for address in addresses}


@pytest.mark.parametrize("change", [{"provider": "off"}, {"ipv4": (), "ipv6": ()}])
def test_a_nic_that_is_left_alone_asks_the_network(change):
    assert config(replace(GUEST, network="blue", **change), SECOND)["ethernets"]["enp1s0"]["dhcp4"]


def test_a_config_drive_is_refused_since_it_has_no_words_for_it():
    drive = json.dumps(DATA | {"DataSource": "configDrive"}).encode()
    with pytest.raises(CloudInitError, match=r"network default: cloudInit static: .*NoCloud"):
        complete(drive, [GUEST])
    assert complete(drive, [replace(GUEST, cloud_init="dhcp")])


def warned(source: dict[str, Any], vmi, *guests: GuestNetwork) -> list[str]:
    return [one.text for one in warnings(json.dumps(source).encode(), guests, vmi)]


def test_addresses_that_stay_in_the_guest_are_warned_of_even_with_a_fixed_mac():
    for fixed in ("", MAC):
        one = samples.vmi("01-single-binding", macAddress=fixed)
        (text,) = warned(DATA, one, GUEST)
        assert "the guest keeps them in the VM's next pod" in text
    again = "#cloud-config\nupdates: {network: {when: [boot]}}\n"
    assert warned(DATA | {"UserData": again}, one, GUEST) == []
    assert warned(DATA | {"UserData": ""}, one, GUEST) == []


@pytest.mark.parametrize(
    ("source", "vmi", "why"),
    [
        (DATA | {"NetworkData": "version: 2\n"}, "01-single-binding", "networkData of its own"),
        (DATA, "04-mixed-core-bridge-secondary", "NICs of other bindings"),
    ],
)
def test_what_is_not_written_is_said(source, vmi, why):
    (text,) = warned(source, samples.vmi(vmi), GUEST)
    assert text.startswith("cloudInit static is not written: ")
    assert why in text
    assert warned(source, samples.vmi(vmi), replace(GUEST, cloud_init="dhcp")) == []
