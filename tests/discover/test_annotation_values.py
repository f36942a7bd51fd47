"""The values of an annotation's keys: what each of them becomes, and what is refused."""

from __future__ import annotations

import json
from ipaddress import IPv6Network, ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binding.discover.annotation import Override, OverrideError
from guest.network import Boot, EncryptedDns, Route, TimeZone
from tests.discover.test_annotation import SOURCE, only


def resolver(**changes: object) -> dict[str, object]:
    return {"name": "a.b", "addresses": ["fd00::53"], "alpn": ["dot"]} | changes


@pytest.mark.parametrize(
    "key, value, wanted",
    [
        ("provider", "in-pod", Override(provider="in-pod")),
        ("provider", "kube-ovn", Override(provider="kube-ovn")),
        ("provider", "auto", Override(provider="auto")),
        ("provider", "off", Override(provider="off")),
        ("ipv4", "off", Override(ipv4="off")),
        ("ipv6", "slaac", Override(ipv6="slaac")),
        ("ipv6", "both", Override(ipv6="both")),
        (
            "addresses",
            ["10.0.0.5/24", "fd00::5/64"],
            Override(addresses=(ip_interface("10.0.0.5/24"), ip_interface("fd00::5/64"))),
        ),
        ("addresses", [], Override(addresses=())),
        (
            "gateways",
            ["10.0.0.1", "fe80::1"],
            Override(gateways=(ip_address("10.0.0.1"), ip_address("fe80::1"))),
        ),
        ("dns", ["fd00::53"], Override(dns=(ip_address("fd00::53"),))),
        ("ntp", ["192.0.2.1"], Override(ntp=(ip_address("192.0.2.1"),))),
        ("search", ["Corp.Example.", "a_b.c"], Override(search=("corp.example", "a_b.c"))),
        (
            "routes",
            [{"to": "10.1.0.0/16", "via": "10.0.0.254"}, {"to": "fd01::/48"}],
            Override(
                routes=(
                    Route(ip_network("10.1.0.0/16"), ip_address("10.0.0.254")),
                    Route(ip_network("fd01::/48")),
                )
            ),
        ),
        ("mtu", 9000, Override(mtu=9000)),
        ("lease", 3600, Override(lease=3600)),
        ("lease", "infinite", Override(lease="infinite")),
        ("defaultRoute", False, Override(default_route=False)),
        (
            "delegate",
            ["fd00:64:7::/56", "fd00:64:8::/60"],
            Override(delegate=(IPv6Network("fd00:64:7::/56"), IPv6Network("fd00:64:8::/60"))),
        ),
        ("preference", "low", Override(preference="low")),
        ("hostname", "Web-1", Override(hostname="web-1")),
        ("shield", False, Override(shield=False)),
        (
            "boot",
            {
                "file": "pxelinux.0",
                "server": "192.0.2.9",
                "url": "tftp://[fd00::9]/x.efi",
                "parameters": ["console=ttyS0"],
                "byArch": {"7": "x.efi", "11": "arm.efi"},
                "urlByArch": {"16": "http://[fd00::9]/x.efi"},
                "ipxe": "http://192.0.2.9/boot.ipxe",
            },
            Override(
                boot=Boot(
                    file="pxelinux.0",
                    server="192.0.2.9",
                    url="tftp://[fd00::9]/x.efi",
                    parameters=("console=ttyS0",),
                    by_arch=((7, "x.efi"), (11, "arm.efi")),
                    url_by_arch=((16, "http://[fd00::9]/x.efi"),),
                    ipxe="http://192.0.2.9/boot.ipxe",
                )
            ),
        ),
        ("pref64", "64:ff9b::/96", Override(pref64=IPv6Network("64:ff9b::/96"))),
        (
            "captivePortal",
            "https://p.example/api",
            Override(captive_portal="https://p.example/api"),
        ),
        (
            "captivePortal",
            "urn:ietf:params:capport:unrestricted",
            Override(captive_portal="urn:ietf:params:capport:unrestricted"),
        ),
        ("ntp", ["ntp.example"], Override(ntp=("ntp.example",))),
        (
            "encryptedDns",
            [
                {"name": "a.example", "addresses": ["fd00::53"], "alpn": ["dot", "doq"], "port": 8},
                {
                    "name": "b.example",
                    "addresses": ["10.0.0.53"],
                    "alpn": ["h3"],
                    "dohpath": "/{?dns}",
                },
                {"name": "c.example"},
            ],
            Override(
                encrypted_dns=(
                    EncryptedDns("a.example", (ip_address("fd00::53"),), ("dot", "doq"), 8),
                    EncryptedDns(
                        "b.example", (ip_address("10.0.0.53"),), ("h3",), dohpath="/{?dns}"
                    ),
                    EncryptedDns("c.example"),
                )
            ),
        ),
        ("timeZone", {"tzdb": "Etc/GMT+3"}, Override(time_zone=TimeZone("Etc/GMT+3"))),
        ("timeZone", {"posix": "UTC0"}, Override(time_zone=TimeZone(posix="UTC0"))),
        ("cloudInit", "static-v1", Override(cloud_init="static-v1")),
        ("ipv6Only", 1800, Override(ipv6_only=1800)),
    ],
)
def test_every_key_has_its_value(key, value, wanted):
    assert only(key, value) == wanted


@pytest.mark.parametrize(
    "key, value, allowed",
    [
        ("provider", "ovn", "allowed: in-pod, kube-ovn, auto, off"),
        ("ipv4", "slaac", "allowed: dhcp, off"),
        ("ipv6", True, "allowed: dhcp, slaac, both, off"),
        ("addresses", "10.0.0.5/24", "write a list such as"),
        ("addresses", ["10.0.0.5"], "write a list such as"),
        ("addresses", [167772165], "write a list such as"),
        ("addresses", ["ff02::1/64"], "write a list such as"),
        ("addresses", ["10.0.0.5/33"], "write a list such as"),
        ("addresses", ["10.0.0.0/24"], "no host can have 10.0.0.0/24; write a list such as"),
        ("addresses", ["10.0.0.255/24"], "no host can have"),
        ("addresses", ["fd00::/64"], "no host can have"),
        ("addresses", ["255.255.255.255/32"], "no host can have"),
        ("addresses", ["0.1.2.3/8"], "no host can have"),
        ("addresses", ["10.0.0.5/24", "10.0.0.5/32"], "is given twice"),
        ("gateways", ["10.0.0.1", "10.0.0.2"], "at most one of each family"),
        ("gateways", ["fe80::1%eth0"], "at most one of each family"),
        ("dns", ["dns.example"], "write a list of addresses"),
        ("dns", ["0.0.0.0"], "write a list of addresses"),
        ("search", ["."], "write a list of DNS names"),
        ("search", ["a..b"], "write a list of DNS names"),
        ("search", ["x" * 64], "write a list of DNS names"),
        ("search", [".".join(["x" * 63] * 4)], "write a list of DNS names"),
        ("routes", [{"via": "10.0.0.1"}], "write a list such as"),
        ("routes", [{"to": "10.1.0.0/16", "dev": "eth0"}], "write a list such as"),
        ("routes", [{"to": "10.1.0.5/16"}], "write a list such as"),
        ("routes", [{"to": "10.1.0.0/16", "via": "fe80::1"}], "write a list such as"),
        ("mtu", 67, "write an integer from 68 to 65535"),
        ("mtu", "1500", "write an integer from 68 to 65535"),
        ("mtu", True, "write an integer from 68 to 65535"),
        ("lease", 19, 'write seconds from 20 to 4294967294, or "infinite"'),
        ("lease", 2**32 - 1, "write seconds from 20 to 4294967294"),
        ("defaultRoute", "no", "write true or false"),
        ("delegate", "fd00:64:7::/56", 'write a list of IPv6 prefixes such as ["fd00:64:7::/56"]'),
        ("delegate", ["fd00:64:7::"], "write a list of IPv6 prefixes"),
        ("delegate", ["fd00:64:7::1/56"], "write a list of IPv6 prefixes"),
        ("delegate", ["10.0.0.0/8"], "write a list of IPv6 prefixes"),
        ("delegate", ["fe80::/64"], "no network can have fe80::/64; write a list"),
        ("delegate", ["::/0"], "no network can have ::/0"),
        ("delegate", ["fd00::1/128"], "no network can have fd00::1/128"),
        ("delegate", ["fd00:7::/56", "fd00:7::/60"], "fd00:7::/60 and fd00:7::/56 overlap"),
        ("delegate", [f"fd00:{n:x}::/56" for n in range(17)], "of 16 at most"),
        ("preference", 1, "allowed: high, medium, low"),
        ("hostname", "web 1", 'write a host name such as "web-1"'),
        ("hostname", "", "write a host name"),
        ("shield", None, "write true or false"),
        ("boot", "pxelinux.0", "write an object with file, server, url, parameters, byArch"),
        ("boot", {"File": "x"}, "write an object with file, server"),
        ("boot", {"file": "x\n"}, "file: write at most 255 printable ASCII characters"),
        ("boot", {"byArch": {"70000": "x"}}, "byArch: write client architectures from 0"),
        ("boot", {"byArch": ["x"]}, "byArch: write an object such as"),
        ("boot", {"urlByArch": "x"}, "urlByArch: write an object such as"),
        ("boot", {"urlByArch": {"x64": "x"}}, "urlByArch: write client architectures from 0"),
        ("boot", {"ipxe": 7}, "ipxe: write a string"),
        ("boot", {"parameters": "x"}, "parameters: write a list of strings"),
        ("pref64", "64:ff9b::/95", "write an IPv6 prefix of length 32, 40"),
        ("pref64", "10.0.0.0/8", "write an IPv6 prefix of length 32, 40"),
        ("captivePortal", "ftp://x", 'write "https://..."'),
        ("captivePortal", "https://" + "x" * 250, "of at most 255 ASCII"),
        ("captivePortal", "urn:ietf:params:capport", 'write "https://..."'),
        ("ntp", ["10.0.0.300"], "write a list of addresses or names"),
        ("ntp", ["0.0.0.0"], "write a list of addresses or names"),
        ("encryptedDns", {"name": "a"}, "write a list such as"),
        ("encryptedDns", [{"addresses": ["fd00::53"]}], "write a list such as"),
        ("encryptedDns", [{"name": "10.0.0.53"}], "name: write a DNS name"),
        ("encryptedDns", [{"name": "a.b", "addresses": ["fd00::53"]}], "alpn: write both"),
        ("encryptedDns", [{"name": "a.b", "alpn": ["dot"]}], "alpn: write both, or a name alone"),
        ("encryptedDns", [{"name": "a.b", "port": 853}], "write both, or a name alone"),
        ("encryptedDns", [resolver(alpn=["tls"])], "alpn: write a list of dot, doq, h2, h3"),
        ("encryptedDns", [resolver(alpn=[[]])], "alpn: write a list of dot, doq, h2, h3"),
        ("encryptedDns", [resolver(alpn=["h2"])], "dohpath: write a path with the variable dns"),
        ("encryptedDns", [resolver(dohpath="/{?dns}")], "with alpn h2 or h3 and only then"),
        ("encryptedDns", [resolver(port=0)], "write an integer from 1 to 65535"),
        ("encryptedDns", [{"name": "a.b"}] * 9, "of 8 at most"),
        ("timeZone", "Europe/Berlin", "write an object such as"),
        ("timeZone", {}, "write an object such as"),
        ("timeZone", {"tzdb": "../etc"}, "write an object such as"),
        ("timeZone", {"posix": "A B"}, "printable ASCII"),
        ("cloudInit", "v1", "allowed: dhcp, static, static-v1"),
        ("ipv6Only", -1, "write an integer from 0 to 4294967295"),
    ],
)
def test_a_bad_value_is_answered_with_annotation_key_value_and_what_is_allowed(key, value, allowed):
    with pytest.raises(OverrideError) as caught:
        only(key, value)
    text = str(caught.value)
    assert text.startswith(f"{SOURCE}: {key}: {json.dumps(value)[:40]}")
    assert allowed in text


KEYS = [
    "encryptedDns",
    "timeZone",
    "ntp",
    "addresses",
    "delegate",
    "gateways",
    "routes",
    "search",
    "boot",
    "pref64",
    "lease",
    "hostname",
    "mtu",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["to", "via", "file", "byArch", "7", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from(KEYS), VALUES)
def test_no_value_raises_anything_else(key, value):
    try:
        assert isinstance(only(key, value), Override)
    except OverrideError as error:
        assert str(error).startswith(f"{SOURCE}: {key}: ")  # noqa: PT017  # either is right
