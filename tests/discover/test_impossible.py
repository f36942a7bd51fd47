"""Values of the annotation that no network can use stop the VM's start, and are named."""

from __future__ import annotations

import pytest

from binding.discover.annotation import OverrideError
from tests.samples import FLAT, KINDNET, overridden, route


@pytest.mark.parametrize(
    "gateway",
    [
        "10.244.1.5",
        "fd00:10:244:1::5",
        "10.244.1.0",
        "10.244.1.255",
        "255.255.255.255",
        "240.0.0.1",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "fe80::d5b:1d9e",
        "192.0.0.8",
        "::ffff:10.244.1.1",
        "::",
        "::1",
        "::2",
        "fe80::",
        "ff02::2",
    ],
)
@pytest.mark.parametrize("key", ["gateways", "routes"])
def test_a_gateway_that_is_no_router_is_refused(key, gateway):
    to = "2001:db8:9::/48" if ":" in gateway else "172.16.0.0/12"
    value = [gateway] if key == "gateways" else [{"to": to, "via": gateway}]
    with pytest.raises(OverrideError, match=rf"dsbridge.io/default.*{key}: "):
        overridden(FLAT, **{key: value})


def test_a_gateway_that_is_the_guests_own_by_the_annotation_is_refused():
    change = {"addresses": ["10.9.9.5/24"], "gateways": ["10.9.9.5"]}
    with pytest.raises(OverrideError, match=r"gateways: 10\.9\.9\.5 is the guest's own address"):
        overridden(FLAT, **change)


@pytest.mark.parametrize(
    "address",
    [
        "10.244.1.1/24",
        "fd00:10:244:1::1/64",
        "10.244.1.9/0",
        "fd00::9/0",
        "::ffff:10.244.1.9/120",
        "192.0.0.8/24",
        "240.0.0.1/24",
        "0.0.0.9/8",
        "::5/64",
        "100::5/64",
    ],
)
def test_an_address_that_no_guest_can_have_is_refused(address):
    with pytest.raises(OverrideError, match=r"addresses: "):
        overridden(FLAT, addresses=[address])


@pytest.mark.parametrize(
    "to",
    [
        "127.0.0.0/8",
        "127.1.2.0/24",
        "224.0.0.0/4",
        "224.0.0.0/3",
        "239.1.0.0/16",
        "255.255.255.255/32",
        "0.0.0.0/8",
        "ff00::/8",
        "ff02::/16",
        "fe80::/10",
        "fe80::/64",
        "::1/128",
        "::ffff:a00:0/104",
        "::a00:0/104",
        "100::/64",
    ],
)
def test_a_route_that_leads_nowhere_is_refused(to):
    with pytest.raises(OverrideError, match=rf"routes: .*no route leads to {to}"):
        overridden(FLAT, routes=[{"to": to}])


def test_a_destination_that_is_given_twice_is_refused():
    twice = [{"to": "172.16.0.0/12", "via": "10.244.1.1"}, {"to": "172.16.0.0/12"}]
    with pytest.raises(OverrideError, match=r"routes: .*172\.16\.0\.0/12 is given twice"):
        overridden(FLAT, routes=twice)
    default = [{"to": "0.0.0.0/0", "via": "10.244.1.9"}]
    with pytest.raises(OverrideError, match=r"routes: 0\.0\.0\.0/0 is given by gateways, too"):
        overridden(FLAT, gateways=["10.244.1.1"], routes=default)


@pytest.mark.parametrize(
    "uri",
    [
        *("https://", "http://", "https:///path", "https://?x", "https://:1"),
        *("https://[::1", "https://x:99999/", "https://x:port/", "https://[x]/"),
    ],
)
def test_a_portal_without_a_host_is_refused(uri):
    with pytest.raises(OverrideError, match=r"captivePortal: "):
        overridden(FLAT, captivePortal=uri)


@pytest.mark.parametrize(
    "boot",
    [
        *({"url": url} for url in ("http://", "http//x", "x.efi", "http://[::1/x")),
        {"urlByArch": {"7": "tftp:///x.efi"}},
        *(
            {"server": server}
            for server in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "192.0.0.8")
        ),
    ],
)
def test_a_boot_server_that_nobody_reaches_is_refused(boot):
    with pytest.raises(OverrideError, match=r"boot: .*(url|urlByArch|server): "):
        overridden(FLAT, boot=boot)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "255.255.255.255", "127.0.0.1", "224.0.0.1", "192.0.0.8", "[ff02::1]", "[::]"],
)
def test_a_url_to_an_address_that_no_host_has_is_refused(host):
    with pytest.raises(OverrideError, match=r"captivePortal: "):
        overridden(FLAT, captivePortal=f"https://{host}/")
    for boot in ({"url": f"http://{host}/x.efi"}, {"urlByArch": {"7": f"tftp://{host}/x.efi"}}):
        with pytest.raises(OverrideError, match=r"boot: .*(url|urlByArch): "):
            overridden(FLAT, boot=boot)


@pytest.mark.parametrize("key", ["dns", "ntp"])
@pytest.mark.parametrize("server", ["192.0.0.8", "fe80::d5b:1d9e", "10.244.1.255", "10.244.1.0"])
def test_a_server_that_is_dsbridges_own_or_no_host_of_the_subnet_is_refused(key, server):
    with pytest.raises(OverrideError, match=rf"{key}: .*{server}"):
        overridden(FLAT, **{key: [server]})


@pytest.mark.parametrize("pref64", ["fe80::/64", "ff00::/32", "::/96", "::ffff:0:0/96"])
def test_a_nat64_prefix_that_is_no_routers_is_refused(pref64):
    with pytest.raises(OverrideError, match=r"pref64: "):
        overridden(FLAT, pref64=pref64)


@pytest.mark.parametrize(
    ("to", "via"),
    [
        ("10.244.1.5/32", "10.244.1.1"),
        ("fd00:10:244:1::5/128", "fd00:10:244:1::1"),
        ("10.244.1.1/32", "10.244.1.1"),
        ("fd00:10:244:1::1/128", "fd00:10:244:1::1"),
    ],
)
def test_a_route_to_the_guest_or_to_its_own_gateway_is_refused(to, via):
    with pytest.raises(OverrideError, match=rf"routes: {to} "):
        overridden(FLAT, routes=[{"to": to, "via": via}])


def test_what_networks_do_use_is_taken():
    guest = overridden(
        KINDNET,
        addresses=["10.244.1.5/31", "fd00:10:244:1::/127"],
        gateways=["10.244.1.4", "fe80::1"],
        routes=[{"to": "169.254.169.254/32"}, {"to": "10.0.0.0/8", "via": "169.254.1.1"}],
        captivePortal="https://[2001:db8::1]:8443/x",
        boot={"url": "tftp://[fd00::9]/x.efi", "server": "boot.example"},
        dns=["10.244.1.1", "10.244.2.255", "fe80::53"],
    )
    assert route("0.0.0.0/0", "10.244.1.4") in guest.routes
    assert route("10.0.0.0/8", "169.254.1.1") in guest.routes
    assert route("169.254.169.254/32") in guest.routes


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"provider": "kube-ovn"}, 'leave delegate out, or write "provider": "in-pod"'),
        ({"provider": "off"}, "nobody delegates the prefix"),
        ({"ipv6": "off"}, "the guest has no IPv6 on this network"),
        ({"addresses": ["10.244.1.9/24"]}, "give an address in addresses"),
        ({"delegate": ["fd00:10:244:1:8000::/80"]}, "overlaps the guest's own network"),
        ({"delegate": ["::/56"]}, "no network can have ::/56"),
        ({"delegate": ["fd00:10:244::/48"]}, "overlaps the guest's own network fd00:10:244:1::/64"),
    ],
)
def test_a_prefix_that_nobody_can_delegate_or_route_is_refused(change, why):
    with pytest.raises(OverrideError, match=r"dsbridge.io/default.*delegate") as caught:
        overridden(FLAT, **{"delegate": ["fd00:64:7::/56"]} | change)
    assert why in str(caught.value)


def test_a_prefix_is_delegated_with_and_without_dhcp_for_the_address():
    for ipv6 in ("dhcp", "slaac", "both"):
        guest = overridden(FLAT, delegate=["fd00:64:7::/56"], ipv6=ipv6)
        assert list(map(str, guest.delegated)) == ["fd00:64:7::/56"]
