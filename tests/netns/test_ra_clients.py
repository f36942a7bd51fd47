"""What kernels and clients make of the router advertisements of the real sidecar."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface
from pathlib import Path

import pytest

from guest.network import OUR_LINK_LOCAL
from tests.bed.clients import Lease, client
from tests.bed.guests import started
from tests.bed.layouts import LAYOUTS
from tests.bed.netns import Netns
from tests.bed.pod import NAMESERVERS, REMOTE6, SEARCH
from tests.bed.wait import until

NETWORK = "dsbridge.io/default"
SLAAC, BOTH = {NETWORK: {"ipv6": "slaac"}}, {NETWORK: {"ipv6": "both"}}
NO_DHCP6 = {"networkd": "[IPv6AcceptRA]\nDHCPv6Client=no", "dhcpcd": "nodhcp6"}
RDNSS = NAMESERVERS[1:]


def mtu6(guest: Netns) -> int:
    """Return the size of an IPv6 packet to the world: of the route, else of the link."""
    (route,) = guest.query("-6", "route", "get", str(REMOTE6))
    of_link = guest.run("cat", "/proc/sys/net/ipv6/conf/eth0/mtu")
    return int(route.get("metrics", [{}])[0].get("mtu", of_link))


def on_link(lease: Lease) -> set[str]:
    return {dst for dst, via in lease.routes6 if via is None and "/" in dst}


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(one, marks=() if one in ("flat", "calico", "kube-ovn") else pytest.mark.matrix)
        for one in LAYOUTS
    ],
)
def test_a_bare_kernel_and_rdisc6_learn_router_prefix_mtu_and_dns(
    layout: str, tmp_path: Path
) -> None:
    with started(layout, "managed") as vm, client("kernel-ra", vm.guest, tmp_path) as guest:
        cni = vm.pod.layout
        vm.guest.ip(f"link set eth0 mtu {cni.mtu + 50}")
        router = cni.router or str(OUR_LINK_LOCAL)
        prefixes = cni.on_link6
        lease = guest.lease(until=lambda lease: lease.default6)
        assert str(lease.default6) == router
        assert on_link(lease) == prefixes
        assert lease.ipv6 == (), "no address without DHCPv6 unless SLAAC is asked for"
        until(lambda: mtu6(vm.guest) == cni.mtu, "the pod link's MTU")

        told = guest.run("rdisc6", "-1", "eth0")
        assert f"from {router}\n" in told
        assert f" MTU                      : {cni.mtu:>12} bytes (valid)" in told
        assert told.count("\n Prefix  ") == len(prefixes)
        assert f" Recursive DNS server     : {RDNSS[0]}\n" in told
        assert f" DNS search list          : {' '.join(SEARCH)} \n" in told


@pytest.mark.parametrize("name", ["networkd", "dhcpcd", "networkmanager", "kernel-ra"])
def test_slaac_gives_address_route_mtu_and_resolver(name: str, tmp_path: Path) -> None:
    extra = NO_DHCP6.get(name, "")
    with started("flat", "managed", SLAAC) as vm:
        vm.guest.ip("link set eth0 mtu 1500")
        with client(name, vm.guest, tmp_path, families=(6,), extra=extra) as guest:
            guest.lease(until=lambda lease: lease.ipv6)
            lease = guest.lease(dns=RDNSS)
            cni = vm.pod.layout
            (own,) = lease.ipv6
            assert own.network == cni.ipv6[0].network
            assert str(lease.default6) == cni.router
            assert on_link(lease) == {str(own.network)}
            # networkd keeps what it has from RAs in no order
            assert set(lease.search) == (set(SEARCH) if name != "kernel-ra" else set())
            assert mtu6(vm.guest) == cni.mtu
            until(lambda: vm.guest.reaches(REMOTE6), "a host beyond the gateway")
        (seen,) = vm.sidecar.status()["guests"]
        stateless = name == "networkmanager"
        assert ("INFORMATION-REQUEST" in seen["counters"]) == stateless, "others know it by RA only"
        assert "SOLICIT" not in seen["counters"]


@pytest.mark.parametrize("name", ["networkd", "dhcpcd", "networkmanager"])
def test_both_gives_the_pods_address_beside_that_of_slaac(name: str, tmp_path: Path) -> None:
    with (
        started("flat", "managed", BOTH) as vm,
        client(name, vm.guest, tmp_path, families=(6,)) as guest,
    ):
        cni = vm.pod.layout
        leased = IPv6Interface(cni.ipv6[0].ip)
        lease = guest.lease(until=lambda lease: len(lease.ipv6) == 2 and leased in lease.ipv6)
        (other,) = set(lease.ipv6) - {leased}
        assert other.network == cni.ipv6[0].network
        assert lease.default6 == IPv6Address(cni.router)


def test_dns_is_known_by_ra_where_the_client_does_no_dhcpv6(tmp_path: Path) -> None:
    extra = NO_DHCP6["networkd"]
    with (
        started("calico", "managed") as vm,
        client("networkd", vm.guest, tmp_path, families=(6,), extra=extra) as guest,
    ):
        lease = guest.lease(until=lambda lease: set(RDNSS) <= set(lease.dns))
        assert set(lease.search) == set(SEARCH)
        assert lease.ipv6 == ()
