from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface

from binding.packet.guard import filters, table_name
from binding.packet.message_table import Parties
from guest.network import OUR_IPV4, GuestNetwork, Route

GUEST = GuestNetwork(
    network="default", tap="tap0", nic="eth0-nic", bridge="k6t-eth0",
    mac="02:00:00:00:00:42", mtu=1450,
    ipv4=(IPv4Interface("10.0.0.42/24"),), ipv6=(IPv6Interface("fd00::42/64"),),
)  # fmt: skip
SHIELD = {"dhcp4-to-client", "dhcp4-from-server", "dhcp6-to-client", "dhcp6-from-server", "ra"}
REQUESTS = {"dhcp4-to-server", "arp-for-us", "dhcp6-to-server", "rs", "ns-for-us"}
ANSWERS = {"dhcp4-to-client", "dhcp6-to-client", "ra", "na-for-us", "nd-by-us"}


def dropped(*guests: GuestNetwork, **options) -> dict[str, set[str]]:
    return {one.link: set(one.drop) for one in filters(guests, **options) if one.drop}


def heard(*guests: GuestNetwork, **options) -> dict[str, set[str]]:
    return {one.link: set(one.hear) for one in filters(guests, **options) if one.hear}


def test_where_we_serve_requests_stop_at_the_tap_and_answers_at_the_nic():
    assert dropped(GUEST) == {"tap0": REQUESTS | SHIELD, "eth0-nic": ANSWERS}


def test_an_ipv4_only_pod_is_guarded_against_rogue_routers_too():
    assert dropped(replace(GUEST, ipv6=())) == dropped(GUEST)


def test_what_is_not_between_this_guest_and_us_passes_at_both_links():
    at_nic, at_tap = filters((GUEST,))
    assert set(at_tap.passes) == {
        *("dhcp4-of-others", "dhcp4-to-other-servers"),
        *("dhcp6-relayed", "dhcp6-to-other-servers"),
    }
    assert set(at_nic.passes) == {"dhcp4-to-other-clients", "dhcp6-to-other-clients"}
    assert at_tap.who == at_nic.who == Parties(GUEST.mac, (IPv6Address("fd00::42"),), OUR_IPV4)


def test_the_server_identifier_is_the_gateway_where_there_is_one():
    route = Route(IPv4Network("0.0.0.0/0"), IPv4Address("10.0.0.1"))
    assert filters((replace(GUEST, routes=(route,)),))[0].who.server4 == IPv4Address("10.0.0.1")


def test_where_kube_ovn_serves_only_the_shield_holds():
    assert dropped(replace(GUEST, provider="kube-ovn")) == {"tap0": SHIELD}


def test_auto_is_transparent_until_it_has_decided():
    auto = replace(GUEST, provider="auto")
    assert dropped(auto) == {"tap0": SHIELD}
    assert dropped(auto, ours={"default": frozenset({6})}) == {
        "tap0": SHIELD | {"dhcp6-to-server", "rs", "ns-for-us"},
        "eth0-nic": {"dhcp6-to-client", "ra", "na-for-us", "nd-by-us"},
    }


def test_nothing_is_filtered_where_nobody_of_ours_serves():
    off = replace(GUEST, provider="off")
    assert dropped(off, replace(GUEST, ipv4=(), ipv6=())) == {}


def test_takeover_mutes_kubevirts_bridges_also_of_a_guest_that_is_off_or_not_there_yet():
    off = replace(GUEST, provider="off", shape="takeover")
    assert dropped(off, spared=()) == dropped(spared=()) == {"k6t-*": {"dhcp4-to-server"}}
    assert [one.spares for one in filters((), spared=("k6t-eth0",))] == [("k6t-eth0",)]


def test_a_guest_without_a_nic_of_its_own_is_guarded_at_the_tap():
    assert set(dropped(replace(GUEST, nic=""))) == {"tap0"}


def test_equal_guests_make_equal_filters_in_any_order():
    second = replace(GUEST, network="blue", tap="tap1", nic="1-nic")
    assert filters((GUEST, second)) == filters((second, GUEST))
    assert set(filters((GUEST,))) < set(filters((GUEST, second)))


def test_what_is_heard_of_a_guest_is_the_same_whoever_serves_it():
    everything = {
        "tap0": REQUESTS,
        "eth0-nic": {"arp-announcement", "na", "ra", "dhcp4-to-client", "dhcp6-to-client"},
    }
    auto = replace(GUEST, provider="auto", shield=False)
    kube_ovn = replace(GUEST, provider="kube-ovn", shield=False, ipv4=(), ipv6=())
    assert heard(GUEST) == heard(auto) == heard(kube_ovn) == everything
    assert heard(auto, ours={"default": frozenset({4})}) == everything
    assert dropped(auto, kube_ovn) == {}


def test_nobody_listens_to_a_guest_that_is_not_served():
    assert heard(replace(GUEST, provider="off"), replace(GUEST, ipv4=(), ipv6=())) == {}
    assert heard(replace(GUEST, nic="")) == {"tap0": REQUESTS}


def test_each_registration_has_a_table_that_the_kernel_takes():
    plugins = (None, "dsbridge", "dsbridge-own", "team", "x" * 300)
    found = [table_name(plugin) for plugin in plugins]
    assert found[:4] == ["dsbridge", "dsbridge", "dsbridge-own", "dsbridge-team"]
    assert len(found[4]) <= 255
