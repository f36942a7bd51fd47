"""Real clients on 802.1Q links of the guest: another network's server, and priority tags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Interface
from pathlib import Path

import pytest

from tests.bed.clients import Client, client
from tests.bed.dnsmasq import Dnsmasq, dnsmasq
from tests.bed.evasions import AD as SERVICE
from tests.bed.evasions import tag
from tests.bed.guests import started
from tests.bed.lan import machine
from tests.bed.pod import Pod
from tests.bed.vlan_device import vlan
from tests.bed.wait import until

THEIRS4, THEIRS6 = "192.168.5.50/24", "fd05::50/128"
ASKS = {"dhcpcd": "noarp"}  # 5 s less


def octets(*tags: tuple[int, int]) -> tuple[bytes, ...]:
    return tuple(tpid.to_bytes(2) + tci.to_bytes(2) for tpid, tci in tags)


@contextmanager
def lan_server(made: Pod, workdir: Path, *tags: bytes) -> Iterator[Dnsmasq]:
    """Run a DHCP server and router of another network on a machine of the node's bridge."""
    with machine(made, 77) as server, vlan(server, "vlan", *tags):
        server.ip("""
            link set vlan up
            addr add 192.168.5.1/24 dev vlan
            addr add fd05::1/64 dev vlan nodad""")
        options = (
            *("--dhcp-range=192.168.5.50,192.168.5.50,1h", "--dhcp-option=6,192.168.5.1"),
            *(
                "--dhcp-range=fd05::50,fd05::50,64,1h",
                "--enable-ra",
                "--dhcp-option=option6:23,[::]",
            ),
        )
        with dnsmasq(server, "vlan", workdir, *options) as running:
            yield running


def held(guest: Client, family: int) -> set[str]:
    lease = guest.observe()
    return set(map(str, lease.ipv4 if family == 4 else lease.ipv6))


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("dhclient", octets(tag(5))),
        ("networkd", octets(tag(5))),
        ("dhcpcd", octets(tag(5))),
        ("dhclient", octets(tag(5, SERVICE), tag(7))),
    ],
    ids=["dhclient", "networkd", "dhcpcd", "dhclient, QinQ"],
)
def test_a_client_in_a_vlan_leases_from_that_network_and_the_nic_from_the_pod(
    name: str, tags: tuple[bytes, ...], tmp_path: Path
) -> None:
    with (
        started("flat", "managed") as vm,
        lan_server(vm.pod, tmp_path / "lan", *tags) as server,
        client("udhcpc", vm.guest, tmp_path / "nic") as nic,
        vlan(vm.guest, "inside", *tags),
        client(
            name, vm.guest, tmp_path / "vlan", interface="inside", extra=ASKS.get(name, "")
        ) as inside,
    ):
        assert nic.lease(30).ipv4 == vm.pod.layout.ipv4
        until(lambda: THEIRS4 in held(inside, 4), f"the VLAN's IPv4\n{server.log}", 30)
        until(lambda: THEIRS6 in held(inside, 6), f"the VLAN's IPv6\n{server.log}", 30)
        assert held(nic, 4) == set(map(str, vm.pod.layout.ipv4))
        assert not {address for address in held(inside, 6) if "fd00:10:244" in address}


@pytest.mark.parametrize("name", ["dhclient", "networkd", "dhcpcd", "udhcpc"])
def test_a_client_whose_frames_have_a_priority_tag_has_the_pods_network(
    name: str, tmp_path: Path
) -> None:
    with started("flat", "managed") as vm, vlan(vm.guest, "tagged", *octets(tag(0, priority=6))):
        vm.guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)
        vm.guest.ip("link set eth0 up")
        made = vm.pod.layout
        with client(
            name, vm.guest, tmp_path, interface="tagged", extra=ASKS.get(name, "")
        ) as guest:
            lease = guest.lease(30)
            assert lease.ipv4 == made.ipv4
            until(lambda: vm.guest.reaches("192.0.2.10"), "a host beyond the gateway, IPv4")
            if name != "udhcpc":
                assert lease.ipv6 == tuple(IPv6Interface(one.ip) for one in made.ipv6)
                until(lambda: vm.guest.reaches("2001:db8:2::10"), "a host beyond it, IPv6")
