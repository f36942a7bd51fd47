"""The clients of the test bed, proven on a server that everybody knows, before they judge ours."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from pathlib import Path

import pytest

from tests.bed.clients import CLIENTS, client
from tests.bed.netns import Netns, end, netns
from tests.bed.wait import until

V4 = (IPv4Interface("10.77.0.42/24"),)
V6 = (IPv6Interface("fd77::42/128"),)
DNS = (ip_address("10.77.0.53"), ip_address("fd77::a:53"))
LEASES4 = ("dhclient", "dhcpcd", "udhcpc", "networkd", "networkmanager", "ipconfig")
LEASES6 = ("dhclient", "dhcpcd", "networkd", "networkmanager", "dhcp6c")
DNSMASQ = (
    "dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --port=0 --pid-file "
    "--leasefile-ro --no-ping --interface=veth0 --bind-dynamic --dhcp-authoritative --enable-ra "
    "--dhcp-range=10.77.0.42,10.77.0.42,1h --dhcp-range=fd77::42,fd77::42,64,1h "
    "--domain=a.example --dhcp-option=6,10.77.0.53 --dhcp-option=option6:dns-server,[fd77::a:53] "
    "--dhcp-option=119,a.example,b.example --dhcp-option=option6:domain-search,a.example,b.example "
    "--dhcp-option=12,vm1 --dhcp-option=121,0.0.0.0/0,10.77.0.1,10.99.0.0/16,10.77.0.7"
)


@pytest.fixture
def guest_netns() -> Iterator[Netns]:
    """A guest's namespace whose eth0 leads to dnsmasq."""
    with netns("srv") as server, netns("gst") as guest:
        server.ip(f"link add veth0 type veth peer name eth0 netns {guest.name}")
        server.sysctl(ipv6__conf__veth0__accept_dad=0, ipv6__conf__all__forwarding=1)
        server.ip("link set veth0 up\naddr add 10.77.0.1/24 dev veth0")
        server.ip("addr add fd77::1/64 dev veth0 nodad")
        dnsmasq = server.popen(*DNSMASQ.split(), stderr=subprocess.DEVNULL)
        try:
            until(lambda: server.run("ss", "-Huln", "sport = 67"), "dnsmasq listens")
            yield guest
        finally:
            end(dnsmasq)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_is_seen_to_get_what_an_ordinary_server_gives(
    name: str, guest_netns: Netns, tmp_path: Path
) -> None:
    with client(name, guest_netns, tmp_path) as guest:
        lease = guest.lease()
    assert lease.ipv4 == (V4 if name in LEASES4 else ())
    assert lease.ipv6 == (V6 if name in LEASES6 else ())
    assert lease.default4 == (ip_address("10.77.0.1") if name in LEASES4 else None)
    assert lease.default6
    assert lease.default6.is_link_local
    assert set(lease.dns) <= set(DNS)
    assert bool(lease.dns) == (name != "kernel-ra")
    if name in LEASES4 and name != "udhcpc":  # whose script in Debian ignores option 121
        assert ("10.99.0.0/16", "10.77.0.7") in lease.routes4
    assert guest_netns.pids() == []
    assert "10.77.0.53" not in Path("/etc/resolv.conf").read_text()  # the machine's own


@pytest.mark.parametrize("name", [name for name in CLIENTS if name in LEASES4])
def test_a_client_that_was_cut_off_starts_again(
    name: str, guest_netns: Netns, tmp_path: Path
) -> None:
    with client(name, guest_netns, tmp_path, families=(4,)) as guest:
        guest.lease()
        guest.stop()
        guest_netns.ip("addr flush dev eth0")
        guest.start()
        assert guest.lease().ipv4 == V4


@pytest.mark.parametrize("name", ["dhclient", "dhcpcd", "udhcpc", "networkd", "networkmanager"])
def test_a_released_lease_leaves_no_address(name: str, guest_netns: Netns, tmp_path: Path) -> None:
    with client(name, guest_netns, tmp_path, families=(4,)) as guest:
        guest.lease()
        guest.release()
        guest.lease(until=lambda lease: not lease.ipv4 and lease.default4 is None)


@pytest.mark.parametrize("name", ["dhcpcd", "udhcpc", "networkd"])
def test_a_client_renews_when_told(name: str, guest_netns: Netns, tmp_path: Path) -> None:
    with client(name, guest_netns, tmp_path, families=(4,)) as guest:
        guest.lease()
        before = len(guest.log)
        guest.renew()
        until(lambda: "renew" in guest.log[before:].lower(), "renewal")
        assert guest.lease().ipv4 == V4
