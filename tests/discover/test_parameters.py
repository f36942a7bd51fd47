"""What else a guest is told, from pod, VMI and override."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from ipaddress import IPv6Network, ip_address

import pytest

from binding.discover.annotation import Override, OverrideError
from binding.discover.guests import guests
from binding.discover.vmi import VmiError
from guest.network import Boot
from tests import samples
from tests.samples import (
    CALICO,
    FLAT,
    FLAT_LINK,
    KINDNET,
    ONE,
    discovered,
    overridden,
    told,
)

# Names and servers


@pytest.mark.parametrize(
    "search, subdomain, told_search, domain",
    [
        (("ns1.svc.cluster.local", "svc.cluster.local"), "", None, "ns1.svc.cluster.local"),
        (
            ("ns1.svc.cluster.local", "svc.cluster.local"),
            "sub",
            ("sub.ns1.svc.cluster.local", "ns1.svc.cluster.local", "svc.cluster.local"),
            "sub.ns1.svc.cluster.local",
        ),
        (("sub.ns1.svc.cluster.local",), "sub", None, "sub.ns1.svc.cluster.local"),
        (("corp.example",), "sub", None, "corp.example"),
        (("a.example", "very-long.example"), "", None, "a.example"),
        ((), "sub", (), ""),
    ],
    ids=["as is", "subdomain", "present already", "no service domain", "the first", "none"],
)
def test_search_list_and_domain_are_kubevirts(search, subdomain, told_search, domain):
    guest = told(replace(ONE, subdomain=subdomain), samples.snapshot(FLAT_LINK, search=search))
    assert guest.search == (search if told_search is None else told_search)
    assert guest.domain == domain


def test_an_invalid_search_domain_is_left_out_with_a_warning():
    bad = (".", "a..b", "-x.example", "x" * 64, ".".join(["abc"] * 64), "ü.example")
    found = discovered(ONE, samples.snapshot(FLAT_LINK, search=("Good_1.Example.", *bad)))
    assert found.guests[0].search == ("good_1.example",)
    assert len(found.warnings) == len(bad)
    assert ("default", "search domain '.' is no DNS name and left out") in found.warnings


def test_no_dns_server_is_made_up():
    pod = replace(FLAT, nameservers=())
    found = discovered(ONE, pod)
    assert found.guests[0].dns == ()
    assert "no DNS server" in found.warnings[0].text
    assert overridden(pod, dns=["192.0.2.53"]).dns == (ip_address("192.0.2.53"),)


def test_host_name():
    assert told(ONE).hostname == ONE.hostname
    assert overridden(hostname="web").hostname == "web"
    found = discovered(replace(ONE, hostname="a b"))
    assert found.guests[0].hostname == ""
    assert "host name 'a b' is no DNS name" in found.warnings[0].text


def test_dhcp_options_of_the_vmi_are_told():
    guest = told(samples.vmi("06-dhcp-options"))
    assert guest.boot == Boot(file="pxelinux.0", server="tftp.example")
    assert guest.ntp == (ip_address("192.0.2.10"), ip_address("192.0.2.11"))
    assert guest.private == ((240, b"private-240"), (254, b"x"))


@pytest.mark.parametrize(
    "options, path",
    [
        ({"ntpServers": ["0.0.0.0"]}, r"ntpServers\[0\]: '0.0.0.0' is an address that no host"),
        ({"ntpServers": ["192.0.2.10", "127.0.0.1"]}, r"ntpServers\[1\]: '127.0.0.1' is an addr"),
        ({"tftpServerName": "0.0.0.0"}, "tftpServerName: '0.0.0.0' is an address that no host"),
        ({"tftpServerName": "tftp.bücher"}, "tftpServerName: 'tftp.bücher' has characters that"),
        ({"bootFileName": "grüb.efi"}, "bootFileName: 'grüb.efi' has characters that DHCP cannot"),
        ({"bootFileName": "x" * 256}, r"bootFileName: 'x+\.\.\. is too long; write 255 characters"),
    ],
)
def test_dhcp_options_that_kubevirt_admits_and_nobody_can_use_are_left_out_and_named(options, path):
    """KubeVirt's own binding starts such a VM, so it must start here, and migrate."""
    vmi = samples.vmi("06-dhcp-options", dhcpOptions=options)
    found = discovered(vmi)
    (guest,) = found.guests
    assert guest.boot == Boot()
    assert guest.ntp in ((), (ip_address("192.0.2.10"),))
    (warning,) = found.warnings
    assert warning.network == "default"
    assert re.match(f"the guest is not told spec.domain.*{path}", warning.text)


def test_the_override_completes_and_replaces_dhcp_options():
    change = {"boot": {"server": "192.0.2.9", "byArch": {"7": "x.efi"}}, "ntp": ["192.0.2.8"]}
    vmi = samples.vmi("06-dhcp-options", {"dsbridge.io/default": json.dumps(change)})
    guest = told(vmi)
    assert guest.boot == Boot("pxelinux.0", "192.0.2.9", ((7, "x.efi"),))
    assert guest.ntp == (ip_address("192.0.2.8"),)


def test_every_other_key_of_the_override_arrives():
    guest = overridden(
        provider="kube-ovn",
        ipv4="off",
        ipv6="both",
        search=["corp.example"],
        lease=600,
        shield=False,
        pref64="64:ff9b::/96",
        captivePortal="https://p.example",
        ipv6Only=300,
    )
    assert (guest.provider, guest.ipv4_mode, guest.ipv6_mode) == ("kube-ovn", "off", "both")
    assert (guest.search, guest.domain, guest.lease) == (("corp.example",), "corp.example", 600)
    assert (guest.shield, guest.ipv6_only) == (False, 300)
    assert guest.pref64 == IPv6Network("64:ff9b::/96")
    assert guest.captive_portal == "https://p.example"


def test_defaults_of_the_cluster_yield_to_the_annotation():
    vmi = samples.vmi("01-single-binding", {"dsbridge.io/default": '{"lease": "infinite"}'})
    defaults = Override(lease=600, ipv6="slaac")
    (guest,) = guests(FLAT, vmi, {}, plugin="dsbridge", defaults=defaults).guests
    assert (guest.lease, guest.ipv6_mode) == (None, "slaac")


def test_a_bad_annotation_is_an_error():
    with pytest.raises(OverrideError, match=r"annotation dsbridge.io/default: unknown key"):
        overridden(dnss=[])


def test_an_annotation_for_no_interface_is_named():
    annotations = {"dsbridge.io/defualt": "{}", "dsbridge.io/blue": "{}"}
    (warning,) = discovered(samples.vmi("18-second-plugin-name", annotations)).warnings
    assert warning.text == (
        "annotation dsbridge.io/defualt is of no interface of the VMI; "
        "known: dsbridge.io/default, dsbridge.io/blue"
    )


# Kube-OVN


def test_a_mac_that_ovn_does_not_know_is_named():
    other = "02:00:00:00:00:99"
    vmi = samples.vmi("01-single-binding", annotated(provider="kube-ovn"), macAddress=other)
    warnings = discovered(vmi, FLAT).warnings
    assert any(
        f"MAC: the guest has {other}, the pod's link 0a:58:0a:f4:01:05" in w.text for w in warnings
    )


@pytest.mark.parametrize("provider", ["in-pod", "auto", "off"])
def test_any_mac_will_do_where_ovn_is_not_said_to_serve(provider):
    vmi = samples.vmi(
        "01-single-binding", annotated(provider=provider), macAddress="02:00:00:00:00:99"
    )
    assert not [warning for warning in discovered(vmi, FLAT).warnings if "MAC" in warning.text]


def annotated(**settings):
    return {"dsbridge.io/default": json.dumps(settings)}


# What an advertisement cannot say


@pytest.mark.parametrize(
    ("pod", "keys", "said"),
    [
        (CALICO, {"ipv6": "slaac"}, "there is no /64 in fd00:10:244:1::5/128"),
        (FLAT, {"routes": [{"to": "fd00:9::/64", "via": "fd00:10:244:1::9"}]}, "fd00:10:244:1::9"),
        (FLAT, {"gateways": [], "routes": [{"to": "::/0"}]}, "has no gateway"),
    ],
    ids=["SLAAC without a /64", "another gateway", "on-link default"],
)
def test_what_no_advertisement_can_say_is_said_to_the_operator(pod, keys, said):
    instance = samples.vmi("01-single-binding", {"dsbridge.io/default": json.dumps(keys)})
    assert [said in warning.text for warning in discovered(instance, pod).warnings] == [True]


@pytest.mark.parametrize("pod", [FLAT, CALICO, KINDNET], ids=["flat", "Calico", "kindnet"])
def test_there_is_nothing_to_say_of_a_pod_as_cnis_make_it(pod):
    assert not discovered(ONE, pod).warnings


def test_no_resolver_by_choice_is_no_warning():
    instance = samples.vmi("01-single-binding", {"dsbridge.io/default": '{"dns": []}'})
    assert not discovered(instance).warnings


def test_two_networks_on_one_tap_are_refused():
    twice = replace(
        ONE,
        interfaces=(ONE.interfaces[0], replace(ONE.interfaces[0], name="blue")),
        networks=(ONE.networks[0], replace(ONE.networks[0], name="blue")),
    )
    with pytest.raises(VmiError, match="networks default and blue both lead to tap0"):
        discovered(twice)


def test_an_ipv4_route_through_an_ipv6_gateway_is_said_to_be_untold():
    """RFC 5549 has them, and no option of DHCPv4 can say it; with or without IPv6 for the guest."""
    via = samples.route("0.0.0.0/0", "fe80::1")
    pod = samples.snapshot(samples.pod_link("eth0", ("10.244.1.5/32",), (via,)))
    (warning,) = discovered(ONE, pod).warnings
    assert "is not told the route to 0.0.0.0/0: it leads through fe80::1" in warning.text
