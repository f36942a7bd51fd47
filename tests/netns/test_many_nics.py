"""A VM with many NICs: each has its own network's addresses, and nobody else's NIC is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from binding.packet import link_names
from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.dnsmasq import dnsmasq
from tests.bed.handler import core_bridge, managed_tap
from tests.bed.launcher import Hook, collect
from tests.bed.netns import Netns
from tests.bed.pod import Pod, pod
from tests.bed.sidecar import Sidecar, explained, sidecar
from tests.bed.udhcpc import asked_once, leased
from tests.samples import OWN_DOMAIN, domain_xml, vmi_object

OURS = {"binding": {"name": "dsbridge"}}
BOTH = ("10.100.{n}.5/24", "fd00:10:100:{n}::5/64")


@dataclass(frozen=True, slots=True)
class Network:
    """A secondary network as a NetworkAttachmentDefinition would make it."""

    name: str
    addresses: tuple[str, ...] = BOTH
    binding: Mapping[str, Any] | None = None
    """Of its interface; ours unless told."""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Bed:
    """A pod with all links of a VMI."""

    pod: Pod
    vmi: dict[str, Any]
    links: dict[str, str]
    """Pod link of each network."""

    def tap(self, network: str) -> str:
        link = self.links[network]
        return link_names.names_of(link, primary=network == "default").tap

    def mac(self, network: str) -> str:
        """Return the MAC that the CNI gave the network's link."""
        if network == "default":
            return self.pod.layout.mac
        return f"0a:58:0a:64:{list(self.links).index(network):02x}:05"

    def addresses(self, network: str) -> list[str]:
        """Return what a network's pod link has, which must be there by its name."""
        found = self.pod.netns.query("addr", "show", "dev", self.links[network])[0]
        return [found["address"], *(one["local"] for one in found["addr_info"])]


@contextmanager
def bed(*networks: Network, scheme: str = "hashed", primary: str = "eth0") -> Iterator[Bed]:
    """Make a flat pod with these networks beside its own, whose link may have another name."""
    vmi = vmi_object("12-udn-primary-name" if primary != "eth0" else "01-single-binding")
    links = {"default": primary}
    with pod("flat") as made:
        if primary != "eth0":
            _rename(made.netns, primary)
        for n, one in enumerate(networks, start=1):
            link = f"net{n}" if scheme == "ordinal" else link_names.hashed(one.name)
            links[one.name] = link
            made.gateway.ip(f"""
                link add more{n} type veth peer name {link} address 0a:58:0a:64:{n:02x}:05 \
                    netns {made.netns.name}
                link set more{n} up
                addr add 10.100.{n}.1/24 dev more{n}""")
            made.netns.ip(f"link set {link} up")
            for address in one.addresses:
                made.netns.ip(f"addr add {address.format(n=n)} dev {link}")
            interface = {"name": one.name, **(one.binding or OURS)}
            if one.state:
                interface["state"] = one.state
            vmi["spec"]["domain"]["devices"]["interfaces"].append(interface)
            multus = {"networkName": f"{one.name}-nad"}
            vmi["spec"]["networks"].append({"name": one.name, "multus": multus})
        yield Bed(made, vmi, links)


def _rename(space: Netns, name: str) -> None:
    """Give the pod's own link another name, with its routes."""
    space.ip(f"""
        link set eth0 down
        link set eth0 name {name}
        link set {name} up
        addr add fd00:10:244:1::5/64 dev {name} nodad
        route add default via 10.244.1.1
        route add default via fd00:10:244:1::1""")


@contextmanager
def launched(
    made: Bed, name: str = "hook-sidecar-0", **environ: str
) -> Iterator[tuple[Sidecar, Hook]]:
    with (
        sidecar(made.pod, name=name, **environ) as side,
        explained(side),
        collect(side.hooks_dir) as hook,
    ):
        yield side, hook


def nic_of(made: Bed, network: str) -> str:
    """Return the <interface> that KubeVirt makes of a NIC that virt-handler wired."""
    root = etree.fromstring(domain_xml("01-single-binding.managedtap.phase2"))
    nic = root.find("devices/interface")
    nic.find("alias").set("name", f"ua-{network}")
    nic.find("target").set("dev", made.tap(network))
    nic.find("mac").set("address", made.mac(network))
    nic.find("mtu").set("size", "1450" if network == "default" else "1500")
    return etree.tostring(nic, encoding="unicode", with_tail=False)


def domain_with(*devices: str) -> str:
    return OWN_DOMAIN.replace("<devices>", f"<devices>{''.join(devices)}", 1)


def order(domain: str) -> list[str]:
    found = etree.fromstring(domain).xpath("devices/interface/alias/@name")
    return [name.removeprefix("ua-") for name in found]


def lease_of(made: Bed, network: str) -> str:
    """Plug a guest in where the network's NIC is; return what its DHCP client says."""
    with cable(made.pod.netns, made.tap(network), mac=made.mac(network)) as guest:
        guest.ip("link set eth0 up")
        return asked_once(guest)


def guarded(made: Bed) -> str:
    return made.pod.netns.run("nft", "list", "ruleset")


@pytest.mark.parametrize("scheme", ["hashed", "ordinal"])
@pytest.mark.parametrize("shape", ["own", "managed"])
def test_each_nic_has_the_addresses_of_its_network(shape: str, scheme: str, tmp_path: Path) -> None:
    """The pod's network and three of multus: with IPAM, with IPv4 alone, with none at all."""
    networks = (Network("blue"), Network("legacy", BOTH[:1]), Network("wire", ()))
    names = ["default", "blue", "legacy", "wire"]
    with bed(*networks, scheme=scheme) as made, launched(made) as (side, hook):
        given = OWN_DOMAIN
        if shape == "managed":
            for network in names:
                managed_tap(made.pod.netns, made.links[network])
            given = domain_with(*(nic_of(made, network) for network in names))
        domain = hook.define(given, json.dumps(made.vmi))
        assert order(domain) == names
        told = {one["network"]: one for one in side.status()["guests"]}
        assert {one["shape"] for one in told.values()} == {shape}
        assert "10.244.1.5" in lease_of(made, "default")
        assert "10.100.2.5" in lease_of(made, "legacy")
        tap = made.tap("blue")
        with (
            cable(made.pod.netns, tap, mac=made.mac("blue")) as guest,
            client("networkd", guest, tmp_path) as inside,
        ):
            lease = inside.lease(until=lambda now: bool(now.ipv4 and now.ipv6))
            assert [str(one) for one in lease.ipv4] == ["10.100.1.5/24"]
            assert [str(one.ip) for one in lease.ipv6] == ["fd00:10:100:1::5"]
            assert (lease.default4, lease.default6) == (None, None)
        # Without IPAM the path is transparent: a server of that network answers.
        assert made.tap("wire") not in guarded(made)
        served = "--dhcp-range=10.100.3.77,10.100.3.77,255.255.255.0"
        with dnsmasq(made.pod.gateway, "more3", tmp_path / "other", served):
            assert "10.100.3.77" in lease_of(made, "wire")


def test_nics_of_other_bindings_stay_as_kubevirt_made_them() -> None:
    """A core bridge between ours, an SR-IOV device behind them."""
    networks = (
        Network("core", binding={"bridge": {}}),
        Network("blue"),
        Network("fast", binding={"sriov": {}}),
    )
    hostdev = (
        '<hostdev type="pci" managed="no" mode="subsystem"><source><address type="pci" '
        'domain="0x0000" bus="0x81" slot="0x11" function="0x1"/></source>'
        '<alias name="ua-sriov-fast"/></hostdev>'
    )
    with bed(*networks) as made, launched(made) as (side, hook):
        core_bridge(made.pod.netns, made.links["core"], index=1)
        before = made.addresses("fast")
        given = domain_with(nic_of(made, "core"), hostdev)
        domain = hook.on_define_domain(given, json.dumps(made.vmi))
        assert order(domain) == ["default", "core", "blue"]
        root = etree.fromstring(domain)
        core = root.xpath("devices/interface[alias/@name='ua-core']")[0]
        kept = etree.canonicalize(etree.tostring(core, with_tail=False).decode())
        assert kept == etree.canonicalize(
            etree.tostring(
                etree.fromstring(given).find("devices/interface"), with_tail=False
            ).decode()
        )
        assert root.xpath("devices/hostdev/alias/@name") == ["ua-sriov-fast"]
        assert made.addresses("fast") == before
        assert [one["network"] for one in side.status()["guests"]] == ["default", "blue"]
        for network in ("core", "fast"):
            assert made.links[network].removeprefix("pod") not in guarded(made)
        assert "10.244.1.5" in lease_of(made, "default")
        assert "10.100.2.5" in lease_of(made, "blue")


def test_a_core_nic_in_the_first_place_stays_first() -> None:
    with bed(Network("blue")) as made, launched(made) as (_, hook):
        made.vmi["spec"]["domain"]["devices"]["interfaces"][0] = {"name": "default", "bridge": {}}
        core_bridge(made.pod.netns)
        domain = hook.on_define_domain(domain_with(nic_of(made, "default")), json.dumps(made.vmi))
        assert order(domain) == ["default", "blue"]
        assert "10.100.1.5" in lease_of(made, "blue")
        assert "eth0" not in guarded(made)


def test_two_registrations_in_one_pod_serve_each_its_own_nics() -> None:
    """virt-launcher calls one sidecar after the other with what the one before returned."""
    other = {"binding": {"name": "dsbridge-b"}}
    networks = (Network("blue", binding=other), Network("green"), Network("red", binding=other))
    with ExitStack() as stack:
        made = stack.enter_context(bed(*networks))
        one, hook = stack.enter_context(launched(made))
        second, next_hook = stack.enter_context(
            launched(made, "hook-sidecar-1", NETWORK_BINDING_PLUGIN_NAME="dsbridge-b")
        )
        assert hook.socket.name != next_hook.socket.name
        vmi = json.dumps(made.vmi)
        domain = OWN_DOMAIN
        for _ in range(2):
            domain = next_hook.on_define_domain(hook.on_define_domain(domain, vmi), vmi)
        assert order(domain) == ["default", "blue", "green", "red"]
        assert [g["network"] for g in one.status()["guests"]] == ["default", "green"]
        assert [g["network"] for g in second.status()["guests"]] == ["blue", "red"]
        for side in (one, second):
            assert [g["warnings"] for g in side.status()["guests"]] == [[], []]
            assert side.status()["guard"] == "on"
        assert "10.244.1.5" in lease_of(made, "default")
        for n, network in enumerate(("blue", "green", "red"), start=1):
            assert f"10.100.{n}.5" in lease_of(made, network)
        hook.shutdown()
        assert one.exit_status() == 0
        assert "10.100.1.5" in lease_of(made, "blue")


@pytest.mark.parametrize("shape", ["own", "managed"])
def test_the_pods_link_may_have_another_name(shape: str, tmp_path: Path) -> None:
    """A primary user-defined network of OVN-Kubernetes is `ovn-udn1`."""
    with bed(Network("blue"), primary="ovn-udn1") as made, launched(made) as (_, hook):
        given = OWN_DOMAIN
        if shape == "managed":
            # KubeVirt's tap of the primary network is tap0 whatever the link is called.
            managed_tap(made.pod.netns, "ovn-udn1", tap="tap0")
            managed_tap(made.pod.netns, made.links["blue"])
            given = domain_with(nic_of(made, "default"), nic_of(made, "blue"))
        domain = hook.define(given, json.dumps(made.vmi))
        assert order(domain) == ["default", "blue"]
        with (
            cable(made.pod.netns, "tap0", mac=made.mac("default")) as guest,
            client("networkd", guest, tmp_path) as inside,
        ):
            lease = inside.lease()
            assert lease.ipv4 == made.pod.layout.ipv4
            assert str(lease.default4) == made.pod.layout.gateway4
            assert str(lease.default6) == made.pod.layout.router
        assert "10.100.1.5" in lease_of(made, "blue")


def test_a_nic_that_is_absent_is_left_alone_and_one_that_is_down_is_served() -> None:
    networks = (Network("blue", state="absent"), Network("green", state="down"))
    with bed(*networks) as made, launched(made) as (side, hook):
        before = made.addresses("blue")
        domain = hook.define(OWN_DOMAIN, json.dumps(made.vmi))
        assert order(domain) == ["default", "green"]
        states = etree.fromstring(domain).xpath(
            "devices/interface[alias/@name='ua-green']/link/@state"
        )
        assert states == ["down"]
        assert [one["network"] for one in side.status()["guests"]] == ["default", "green"]
        assert made.addresses("blue") == before
        assert not made.pod.netns.has(made.tap("blue"))
        assert "10.100.2.5" in lease_of(made, "green")
        with cable(made.pod.netns, mac=made.pod.layout.mac) as guest:
            guest.ip("link set eth0 up")
            assert leased(guest)
