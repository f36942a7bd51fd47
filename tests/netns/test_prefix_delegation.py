"""Real DHCPv6 clients are delegated a prefix, and the network behind them is reached by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path

from tests.bed.clients import Client, client
from tests.bed.clients.networkd import reload
from tests.bed.clients.userland import SETTLED, Userland, userland
from tests.bed.guests import Started, started
from tests.bed.in_parallel import in_parallel
from tests.bed.netns import end
from tests.bed.sidecar import sidecar
from tests.bed.wait import until

NETWORK = "dsbridge.io/default"
PREFIX, SECOND = IPv6Network("fd00:64:7::/56"), IPv6Network("fd00:64:8::/60")
OURS = IPv6Interface("fd00:10:244:1::5/128")
DELEGATE = {"delegate": [str(PREFIX)]}
LAN = "lan0"
# Each client's own words for: ask for a prefix, and number the guest's network by it.
DHCPCD = f"""
interface eth0
ia_na
ia_pd 1 {LAN}/1/64
"""
DHCP6C = f"""send ia-pd 0; }};
id-assoc pd 0 {{ prefix-interface {LAN} {{ sla-id 1; sla-len 8; }}; }}; interface lo {{"""
NETWORKD = """[DHCPv6]
PrefixDelegationHint=::/56
WithoutRA=solicit
"""
NETWORKD_LAN = f"""[Match]
Name={LAN}
[Network]
DHCPPrefixDelegation=yes
IPv6SendRA=no
[DHCPPrefixDelegation]
UplinkInterface=eth0
SubnetId=1
"""
EXTRA = {"dhcpcd": DHCPCD, "dhcp6c": DHCP6C, "networkd": NETWORKD}


@contextmanager
def router(name: str, workdir: Path, settings: dict) -> Iterator[tuple[Started, Client]]:
    """A guest with a network of its own behind it."""
    with started("flat", "managed", {NETWORK: settings}) as vm:
        vm.guest.ip(f"link add {LAN} type bridge\nlink set {LAN} up")
        extra = EXTRA[name]
        with client(name, vm.guest, workdir, families=(6,), extra=extra) as guest:
            if name == "networkd":
                guest.guest.write("/run/systemd/network/20-lan.network", NETWORKD_LAN)
                reload(guest.guest)
            yield vm, guest


def numbered(vm: Started) -> IPv6Address | None:
    """The address that the guest gave its own network of the prefix."""
    for row in vm.guest.query("-6", "addr", "show", "dev", LAN, "scope", "global"):
        for one in row.get("addr_info", ()):
            return IPv6Address(one["local"])
    return None


def sees(vm: Started, text: str, timeout: float = 20) -> None:
    until(lambda: text in vm.sidecar.log, text, timeout)


def test_routers_get_address_and_prefix_and_their_networks_are_reached(tmp_path: Path) -> None:
    """The administrator's part is one route on the node."""

    def story(name: str) -> None:
        with router(name, tmp_path / name, DELEGATE) as (vm, guest):
            assert OURS in guest.lease(30).ipv6
            sees(vm, f"{OURS.ip}, prefix {PREFIX}, lease infinite")
            until(lambda: numbered(vm), f"an address of {LAN}", 20)
            address = numbered(vm)
            assert address is not None
            assert address in PREFIX
            vm.pod.gateway.ip(f"route add {PREFIX} via {OURS.ip} dev cni0")
            until(lambda: vm.pod.remote.reaches(address), "the network behind the guest", 20)

    in_parallel(story, EXTRA)


def test_a_finite_delegation_is_renewed_at_t1(tmp_path: Path) -> None:
    def story(name: str) -> None:
        # dhcp6c renews each IA by a message of its own.
        both = "" if name == "dhcp6c" else f"{OURS.ip}, "
        with router(name, tmp_path / name, DELEGATE | {"lease": 40}) as (vm, _):
            sees(vm, f"REPLY to RENEW: {both}prefix {PREFIX}, lease 40 s", 60)
            assert numbered(vm) in PREFIX

    in_parallel(story, EXTRA)


@contextmanager
def dhclient(netns, workdir: Path, *arguments: str) -> Iterator[Userland]:
    with userland(netns, "eth0", workdir) as guest:
        guest.link("up")
        words = " ".join(arguments)
        command = f'{SETTLED}; exec dhclient -6 -d -v {words} "$0"'
        guest.spawn("sh", "-c", command, "eth0")
        yield guest


def leases(guest: Userland) -> str:
    return guest.read("/var/lib/dhcp/dhclient6.leases")


def test_each_of_several_ias_gets_a_prefix_and_keeps_it_over_restarts(tmp_path: Path) -> None:
    """Of client and sidecar: dhclient names its prefixes again, in a REBIND."""
    settings = {NETWORK: {"delegate": [str(PREFIX), str(SECOND)], "lease": 600}}
    with (
        started("flat", "managed", settings) as vm,
        dhclient(vm.guest, tmp_path, "-P", "-P", "-N") as guest,
    ):
        given = f"{OURS.ip}, prefix {PREFIX} {SECOND}, lease 600 s"
        sees(vm, f"REPLY to DHCPv6 REQUEST: {given}")
        until(lambda: all(str(one) in leases(guest) for one in (PREFIX, SECOND)), "both prefixes")
        guest.daemons[-1].stop("KILL")
        end(vm.sidecar.process)
        with sidecar(vm.pod) as successor:
            guest.spawn("dhclient", "-6", "-d", "-v", "-P", "-P", "-N", "eth0")
            until(lambda: f"REPLY to REBIND: {given}" in successor.log, "the same prefixes", 30)


def test_a_wish_for_a_length_and_one_prefix_too_few(tmp_path: Path) -> None:
    settings = {NETWORK: {"delegate": [str(PREFIX), str(SECOND)]}}
    with (
        started("flat", "managed", settings) as vm,
        dhclient(vm.guest, tmp_path, "-P", "--prefix-len-hint", "60") as guest,
    ):
        sees(vm, f"REPLY to DHCPv6 REQUEST: prefix {SECOND}, lease infinite")
        until(lambda: str(SECOND) in leases(guest), "the prefix of that length")
        assert str(PREFIX) not in leases(guest)
        guest.run("dhclient", "-6", "-r", "-P", "eth0")
        sees(vm, f"REPLY to DHCPv6 RELEASE: {SECOND}")
