"""What an administrator is told of a network that the guest cannot use as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from binding.discover.nic import Attachment, MissingLink
from tests import samples
from tests.samples import (
    CALICO,
    FLAT,
    FLAT_LINK,
    GATEWAY_MAC,
    KINDNET,
    MANAGED,
    ONE,
    POD_MAC,
    discovered,
    route,
)

OTHER = "02:42:ac:00:00:07"
CILIUM_LINK = samples.pod_link(
    "eth0",
    ("10.0.1.23/32", "fd00:10:0:1::17/128"),
    (
        route("0.0.0.0/0", "10.0.1.170"),
        route("10.0.1.170/32"),
        route("::/0", "fd00:10:0:1::aa"),
        route("fd00:10:0:1::aa/128"),
    ),
)
AWS_LINK = samples.pod_link(
    "eth0",
    ("192.168.61.5/32", "2001:db8:61::5/128"),
    (route("0.0.0.0/0", "169.254.1.1"), route("169.254.1.1/32"), route("::/0", "fe80::1")),
    neighbors=((ip_address("169.254.1.1"), GATEWAY_MAC), (ip_address("fe80::1"), GATEWAY_MAC)),
    permanent=((ip_address("169.254.1.1"), GATEWAY_MAC), (ip_address("fe80::1"), GATEWAY_MAC)),
)
CILIUM, AWS = samples.snapshot(CILIUM_LINK), samples.snapshot(AWS_LINK)
OVN_KUBERNETES = samples.snapshot(
    replace(
        FLAT_LINK,
        routes=(
            *FLAT_LINK.routes,
            route("10.244.0.0/16", "10.244.1.1"),
            route("100.64.0.0/16", "10.244.1.1"),
            route("169.254.0.5/32", "10.244.1.1"),
        ),
    )
)
KUBE_OVN = samples.snapshot(replace(FLAT_LINK, mac="00:00:00:7d:1c:07"))


def mac_warnings(pod, instance):
    return [one.text for one in discovered(instance, pod).warnings if "MAC: " in one.text]


@pytest.mark.parametrize(
    "pod", [CILIUM, KUBE_OVN, OVN_KUBERNETES], ids=["Cilium", "Kube-OVN", "OVN-Kubernetes"]
)
def test_a_mac_that_the_cni_does_not_know_is_named_with_the_remedy(pod):
    (warning,) = mac_warnings(pod, samples.vmi("01-single-binding", macAddress=OTHER))
    assert warning.startswith(f"MAC: the guest has {OTHER}, the pod's link ")
    assert "leave macAddress out of the VMI" in warning
    assert mac_warnings(pod, ONE) == []


@pytest.mark.parametrize(
    "pod", [FLAT, CALICO, KINDNET, AWS], ids=["flat", "Calico", "kindnet", "AWS"]
)
def test_where_the_node_learns_macs_by_arp_another_mac_is_no_warning(pod):
    assert mac_warnings(pod, samples.vmi("01-single-binding", macAddress=OTHER)) == []


def test_a_migrated_guest_with_its_former_pods_mac_is_named():
    (warning,) = mac_warnings(CILIUM, samples.vmi("13-migration-target"))
    assert "shut the VM down and start it" in warning


def test_a_second_ipv4_address_is_named():
    link = replace(FLAT_LINK, addresses=(*FLAT_LINK.addresses, ip_interface("10.7.0.5/24")))
    link = replace(link, routes=(*link.routes, route("10.7.0.0/24")))
    (warning,) = discovered(ONE, samples.snapshot(link)).warnings
    assert "the guest is not told 10.7.0.5/24: DHCPv4 gives one address" in warning.text
    assert "10.244.1.5/24" in warning.text


@pytest.mark.parametrize(
    "kind, mac, remedy",
    [
        ("netkit", "00:00:00:00:00:00", "netkit-l2"),
        ("tun", "", "attach the pod by a veth"),
        ("sit", "0a:00:00:01", "attach the pod by a veth"),
        ("ipoib", ":".join(["00"] * 20), "attach the pod by a veth"),
    ],
)
@pytest.mark.parametrize("attached", [{}, MANAGED], ids=["own", "managed"])
@pytest.mark.parametrize("wanted", ["", OTHER], ids=["no macAddress", "macAddress"])
def test_a_link_of_layer_3_is_refused_for_what_it_is(kind, mac, remedy, attached, wanted):
    pod = samples.snapshot(replace(FLAT_LINK, kind=kind, mac=mac))
    vmi = samples.vmi("01-single-binding", macAddress=wanted)
    with pytest.raises(MissingLink, match=rf"link eth0 \({kind}\) is a layer-3 device.*{remedy}"):
        discovered(vmi, pod, attached)


@pytest.mark.parametrize("kind", ["macvlan", "ipvlan"])
def test_a_link_that_delivers_to_its_own_mac_alone_is_named_where_kubevirt_bridges_it(kind):
    pod = samples.snapshot(replace(FLAT_LINK, kind=kind))
    (warning,) = discovered(ONE, pod, MANAGED).warnings
    assert f"eth0 is a {kind} link" in warning.text
    assert discovered(ONE, pod).warnings == ()  # wiring refuses it


def test_a_tap_that_the_cni_made_needs_no_bridge_so_no_mac_of_the_pods_link():
    link = replace(FLAT_LINK, kind="netkit", mac="00:00:00:00:00:00")
    pod = samples.snapshot(link, samples.pod_link("tapcni", (), (), index=5))
    attached = {"default": Attachment("tapcni", POD_MAC, 1450)}
    assert discovered(ONE, pod, attached).guests[0].mac == POD_MAC


# Permanent neighbours


def test_permanent_neighbours_of_the_pod_are_answered_for():
    (guest,) = discovered(ONE, AWS).guests
    assert guest.permanent_neighbors == AWS_LINK.permanent
    assert {ip_address("169.254.1.1"), ip_address("fe80::1")} <= set(guest.answered_for)


def test_of_many_permanent_neighbours_the_gateways_are_answered_for():
    many = tuple((ip_address(f"10.9.{n >> 8}.{n & 255}"), GATEWAY_MAC) for n in range(1000))
    link = replace(AWS_LINK, permanent=(*many, *AWS_LINK.permanent))
    (guest,) = discovered(ONE, samples.snapshot(link)).guests
    assert {ip_address("169.254.1.1"), ip_address("fe80::1")} <= set(guest.answered_for)
    assert len(guest.permanent_neighbors) == 64


def test_the_guests_own_address_is_never_answered_for():
    own = ((ip_address("192.168.61.5"), GATEWAY_MAC),)
    (guest,) = discovered(ONE, samples.snapshot(replace(AWS_LINK, permanent=own))).guests
    assert guest.permanent_neighbors == ()


@pytest.mark.parametrize(
    ("settings", "who"),
    [
        ({}, None),
        ({"ipv6": "off"}, "nobody"),
        ({"addresses": ["10.244.1.9/24"]}, "nobody"),
        ({"provider": "kube-ovn"}, "OVN"),
    ],
)
def test_a_preference_that_no_advertisement_carries_is_warned_of(settings, who):
    text = json.dumps({"preference": "low"} | settings)
    instance = samples.vmi("01-single-binding", {"dsbridge.io/default": text})
    remarks = discovered(instance).warnings
    warned = [each.text for each in remarks if "preference" in each.text]
    assert [f"preference low: {who} sends" in each for each in warned] == ([True] if who else [])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"addresses": ["10.244.1.9/24"], "gateways": ["10.244.1.1", "fd00::1"]},
            "gateways: fd00::1 is not told, the guest has no IPv6 address",
        ),
        (
            {"addresses": ["fd00::9/64"], "routes": [{"to": "10.1.0.0/16", "via": "10.0.0.1"}]},
            "routes: 10.1.0.0/16 is not told, the guest has no IPv4 address",
        ),
        ({"gateways": ["10.244.1.1"], "defaultRoute": False}, "gateways are not told"),
        ({"gateways": ["10.244.1.1", "fe80::1"]}, ""),
    ],
)
def test_a_gateway_or_route_that_the_guest_is_not_told_is_named(settings, said):
    text = json.dumps(settings)
    found = discovered(samples.vmi("01-single-binding", {"dsbridge.io/default": text})).warnings
    warned = [each.text for each in found if "not told" in each.text]
    assert [said in each for each in warned] == ([True] if said else [])


@pytest.mark.parametrize("more", [{"ipv6": "off"}, {"addresses": ["10.244.1.9/24"]}])
def test_who_has_no_ipv6_is_not_told_to_do_without_ipv4(more):
    text = json.dumps({"ipv6Only": 300} | more)
    found = discovered(samples.vmi("01-single-binding", {"dsbridge.io/default": text}))
    assert found.guests[0].ipv6_only is None
    assert any("ipv6Only: the guest has no IPv6" in each.text for each in found.warnings)


def test_with_provider_auto_ovn_might_leave_a_prefix_undelegated():
    def warned(provider):
        settings = f'{{"provider": "{provider}", "delegate": ["fd00:64:7::/56"]}}'
        instance = samples.vmi("01-single-binding", {"dsbridge.io/default": settings})
        return [one.text for one in discovered(instance).warnings if "delegate: " in one.text]

    assert "OVN serves DHCPv6 and delegates no prefix" in warned("auto")[0]
    assert warned("in-pod") == []
