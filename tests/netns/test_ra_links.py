"""A link that flaps, and a guest with two of them of which one leads to the world."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from binding.discover import network_status
from guest.network import OUR_LINK_LOCAL
from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.clients.lease import kernel
from tests.bed.guests import started
from tests.bed.launcher import collect
from tests.bed.netns import Netns
from tests.bed.pod import BLUE, NAMESERVERS, REMOTE6, SEARCH, pod
from tests.bed.sidecar import sidecar
from tests.bed.wait import until
from tests.samples import TWO_NICS, TWO_NICS_DOMAIN

BLUE_MAC = "0a:58:0a:64:00:05"
BEYOND_BLUE, HOST_BEYOND_BLUE = "fd00:10:101::/64", "fd00:10:101::1"
NETWORKD_TOO = "[Match]\nName=eth1\n[Network]\nDHCP=ipv6\nIPv6AcceptRA=yes\n"


@pytest.mark.parametrize(
    ("name", "down", "up"),
    [
        ("kernel-ra", "down", "up"),
        ("networkmanager", "down", "up"),
        ("networkd", "carrier off", "carrier on"),
    ],
)
def test_a_route_lost_with_the_link_is_back_with_it(
    name: str, down: str, up: str, tmp_path: Path
) -> None:
    with (
        started("flat", "managed") as vm,
        client(name, vm.guest, tmp_path, families=(6,)) as guest,
    ):
        before = guest.lease(until=lambda lease: lease.default6)
        vm.guest.ip(f"link set eth0 {down}")
        guest.lease(until=lambda lease: lease.default6 is None)
        vm.guest.ip(f"link set eth0 {up}")
        after = guest.lease(until=lambda lease: lease.default6)
        assert after.default6 == before.default6


@contextmanager
def two_nics(**environ: str) -> Iterator[Netns]:
    """Start a VM with two NICs and yield its guest, eth0 and eth1 still down."""
    with (
        pod("flat", blue=True) as made,
        sidecar(made, **environ) as running,
        collect(running.hooks_dir) as hook,
    ):
        made.gateway.ip(f"addr add {HOST_BEYOND_BLUE}/128 dev lo")
        hook.define(TWO_NICS_DOMAIN, TWO_NICS)
        with (
            cable(made.netns, mac=made.layout.mac, mtu=1450) as guest,
            cable(made.netns, "tap16477688c0e", mac=BLUE_MAC) as other,
        ):
            other.ip(f"link set eth0 netns {guest.name} name eth1")
            guest.sysctl(ipv6__conf__eth1__accept_ra_rt_info_max_plen=64)
            yield guest


def routes_by_blue(guest: Netns) -> set[tuple[str, str | None]]:
    return {one for one in kernel(guest, "eth1").routes6 if one[1] or one[0] == "default"}


def test_a_kernel_with_two_nics_has_one_default_route_and_the_routes_of_the_other() -> None:
    with two_nics() as guest:
        guest.ip("link set eth0 up\nlink set eth1 up")
        until(lambda: routes_by_blue(guest), "a route by blue")
        until(lambda: kernel(guest, "eth0").has_default6, "a default route")
        assert routes_by_blue(guest) == {(BEYOND_BLUE, str(OUR_LINK_LOCAL))}


def test_networkd_with_two_nics_leases_on_both_and_leaves_by_the_primary(tmp_path: Path) -> None:
    with (
        two_nics() as guest,
        client("networkd", guest, tmp_path, families=(6,)) as running,
    ):
        running.lease()
        running.guest.write("/run/systemd/network/20-blue.network", NETWORKD_TOO)
        running.run("networkctl", "reload")
        until(lambda: kernel(guest, "eth1").ipv6, "blue's address")
        until(lambda: routes_by_blue(guest), "a route by blue")
        assert [str(one.ip) for one in kernel(guest, "eth1").ipv6] == ["fd00:10:100::5"]
        assert routes_by_blue(guest) == {(BEYOND_BLUE, str(OUR_LINK_LOCAL))}
        until(lambda: guest.reaches(REMOTE6), "a host beyond the primary's gateway")
        until(lambda: guest.reaches(HOST_BEYOND_BLUE), "a host beyond blue's gateway")


def test_networkd_with_two_nics_asks_for_names_by_the_primary_alone(tmp_path: Path) -> None:
    """It routes each server that a lease names on-link by that NIC, and the wrong one may win."""
    with two_nics() as guest, client("networkd", guest, tmp_path) as running:
        lease = running.lease(dns=NAMESERVERS)
        assert lease.search[-1] == SEARCH[-1]
        both = NETWORKD_TOO.replace("DHCP=ipv6", "DHCP=yes")
        running.guest.write("/run/systemd/network/20-blue.network", both)
        running.run("networkctl", "reload")
        until(lambda: kernel(guest, "eth1").ipv4, "blue's address")
        until(lambda: kernel(guest, "eth1").ipv6, "blue's IPv6 address")
        (blue,) = guest.query("link", "show", "dev", "eth1")
        told = running.guest.read(f"/run/systemd/netif/links/{blue['ifindex']}")
        assert "NETWORK_FILE" in told
        assert [line for line in told.splitlines() if line.startswith(("DNS=", "DOMAINS="))] in (
            [],
            ["DNS="],
            ["DNS=", "DOMAINS="],
        )
        leading = {
            dst for dst, _ in (*kernel(guest, "eth1").routes4, *kernel(guest, "eth1").routes6)
        }
        assert not leading & {str(server) for server in NAMESERVERS}
        for server in NAMESERVERS:
            (route,) = guest.query("route", "get", str(server))
            assert route["dev"] == "eth0"


def test_networkd_asks_for_names_of_a_network_by_the_nic_that_multus_says(tmp_path: Path) -> None:
    dns = {"nameservers": ["10.100.0.53", "fd00:10:100::53"], "search": ["blue.example"]}
    status = json.dumps([{"name": "ns1/blue", "interface": BLUE, "dns": dns}])
    file = tmp_path / "annotations"
    file.write_text(f"{network_status.ANNOTATION}={json.dumps(status)}\n")
    with (
        two_nics(DSBRIDGE_ANNOTATIONS=str(file)) as guest,
        client("networkd", guest, tmp_path) as running,
    ):
        running.lease(dns=NAMESERVERS)
        both = NETWORKD_TOO.replace("DHCP=ipv6", "DHCP=yes") + "[DHCPv4]\nUseDomains=yes\n"
        both += "[IPv6AcceptRA]\nUseDomains=yes\n[DHCPv6]\nUseDomains=yes\n"
        running.guest.write("/run/systemd/network/20-blue.network", both)
        running.run("networkctl", "reload")
        (blue,) = guest.query("link", "show", "dev", "eth1")
        path = f"/run/systemd/netif/links/{blue['ifindex']}"

        def told() -> dict[str, set[str]]:
            lines = (line.partition("=") for line in running.guest.read(path).splitlines())
            return {name: set(v.split()) for name, _, v in lines if name in ("DNS", "DOMAINS")}

        wanted = {"DNS": set(dns["nameservers"]), "DOMAINS": set(dns["search"])}
        until(lambda: told() == wanted, "blue's servers and search list")
        running.lease(dns=NAMESERVERS)
