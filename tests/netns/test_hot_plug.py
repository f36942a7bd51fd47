"""NICs that KubeVirt plugs into a running VM and out of it: `bridge: {}`, and no hook is called.

The order is KubeVirt's: the CNI gives the pod a link, phase 1 takes everything off it and makes
bridge, tap and placeholder, its own DHCP server starts at the bridge, QEMU opens the tap.
"""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Interface, IPv6Interface

import pytest

from binding.packet import link_names
from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.diagnosis import run
from tests.bed.dnsmasq import dnsmasq
from tests.bed.handler import core_bridge, unplug
from tests.bed.launcher import collect, phase2
from tests.bed.pod import BLUE, plug_blue, pod
from tests.bed.sidecar import explained, sidecar
from tests.bed.udhcpc import asked_once, leased
from tests.bed.wait import until
from tests.samples import MANAGED_DOMAIN, vmi_json, vmi_object

VMI = "17-hooksidecar-annotation-core-bridge"
BUILT_IN = "169.254.75.11"
MAC = "0a:58:0a:64:00:05"
TAP, BRIDGE = "tap16477688c0e", "k6t-16477688c0e"
ADDRESSES = IPv4Interface("10.100.0.5/24"), IPv6Interface("fd00:10:100::5/128")


@contextmanager
def running(annotations=None, **environ):
    """Start a VM with the pod's NIC alone."""
    with ExitStack() as stack:
        made = stack.enter_context(pod("flat"))
        environ = {"NETWORK_BINDING_PLUGIN_NAME": "", **environ}
        side = stack.enter_context(sidecar(made, **environ))
        hook = stack.enter_context(collect(side.hooks_dir))
        core_bridge(made.netns)
        domain = phase2(MANAGED_DOMAIN, mac=made.layout.mac, mtu=made.layout.mtu)
        hook.define(domain, vmi_json(annotations or {}, VMI))
        guest = stack.enter_context(cable(made.netns, mac=made.layout.mac, mtu=made.layout.mtu))
        guest.ip("link set eth0 up")
        assert leased(guest)
        with explained(side):
            yield made, side, guest


@contextmanager
def plugged(made, tmp_path):
    """Plug `blue` in, as CNI, KubeVirt and QEMU do; its server waits for the bridge."""
    with dnsmasq(
        *(made.netns, BRIDGE, tmp_path / "built-in"),
        f"--shared-network={BUILT_IN},10.100.0.5",
        "--dhcp-range=10.100.0.5,10.100.0.5,255.255.255.0,infinite",
        f"--dhcp-host={MAC},10.100.0.5",
    ) as built_in:
        plug_blue(made)
        core_bridge(made.netns, BLUE, index=1)
        with cable(made.netns, TAP, mac=MAC) as guest:
            yield built_in, guest


@contextmanager
def stopped(side):
    """Have the sidecar see nothing for a while, as on a node that is busy."""
    (pid,) = [one["pid"] for one in side.status()["processes"] if one["name"] == "sidecar"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def is_filtered(made):
    return f"chain {TAP} " in made.netns.run("nft", "list", "ruleset")


def is_mute(made):
    """Return how many requests were kept from KubeVirt's servers; None: they are not mute."""
    found = re.search(r'"k6t-\*" .*packets (\d+) ', made.netns.run("nft", "list", "ruleset"))
    return found and int(found[1])


def networks(side):
    return {one["network"]: one for one in side.status()["guests"]}


def test_a_nic_that_is_plugged_in_gets_what_its_cni_gave_it_in_both_families(tmp_path):
    with running() as (made, side, first), plugged(made, tmp_path) as (built_in, guest):
        until(lambda: BLUE in networks(side), "the sidecar serves it")
        with client("networkd", guest, tmp_path) as inside:
            lease = inside.lease(
                until=lambda now: len(now.ipv4 + now.ipv6) == 2 and "10.101" in str(now.routes4)
            )
            assert (*lease.ipv4, *lease.ipv6) == ADDRESSES
            assert ("10.101.0.0/16", "10.100.0.1") in lease.routes4
            assert (lease.default4, lease.default6) == (None, None)
            inside.lease(until=lambda now: "fd00:10:101::/64" in str(now.routes6))
        assert BUILT_IN not in built_in.log.partition("DHCPREQUEST")[2]
        about = networks(side)[BLUE]
        assert (about["shape"], about["mac"], about["tap"]) == ("takeover", MAC, TAP)
        assert not [one for one in about["warnings"] if "unknown" in one]
        assert side.status()["guard"] == "on"
        assert leased(first, hostname="b")


def test_kubevirts_server_is_mute_before_the_new_nic_is_found(tmp_path):
    with running() as (made, side, _), stopped(side), plugged(made, tmp_path) as (built_in, guest):
        guest.ip("link set eth0 up")
        assert not is_filtered(made)
        assert is_mute(made) == 0
        until(lambda: not leased(guest, tries=1) and is_mute(made), "requests at the bridge")
        assert f"DHCPDISCOVER({BRIDGE})" not in built_in.log
        made.netns.run("nft", "delete table ip dsbridge")
        until(lambda: BUILT_IN in asked_once(guest, tries=1), "a lease of KubeVirt's server")


def test_a_guest_that_asks_from_the_first_moment_is_answered_by_the_sidecar_alone(tmp_path):
    with running() as (made, side, _), plugged(made, tmp_path) as (built_in, guest):
        guest.ip("link set eth0 up")
        until(lambda: leased(guest, tries=1), "a lease")
        assert f"DHCPDISCOVER({BRIDGE})" not in built_in.log
        assert networks(side)[BLUE]["counters"]["ACK"] > 0
        made.netns.run("nft", "delete table ip dsbridge")
        until(lambda: is_mute(made) is not None, "the sidecar mutes KubeVirt's server again")
        assert "another program changed the guard's table" in side.log
        assert "the guard is on" in run(made.netns, side.hooks_dir, "diagnose").stdout


@contextmanager
def masqueraded(*, blue=False):
    """Start a VM whose NIC on the pod's network is `masquerade: {}`; it may have `blue`, too."""
    vmi = vmi_object(VMI)
    (first,) = vmi["spec"]["domain"]["devices"]["interfaces"]
    first |= {"masquerade": first.pop("bridge")}
    if blue:
        vmi["spec"]["networks"].append({"name": "blue", "multus": {"networkName": "blue"}})
        interfaces = vmi["spec"]["domain"]["devices"]["interfaces"]
        interfaces.append({"name": "blue", "bridge": {}})
    with (
        pod("flat", blue=blue) as made,
        sidecar(made, NETWORK_BINDING_PLUGIN_NAME="") as side,
        collect(side.hooks_dir) as hook,
    ):
        core_bridge(made.netns)
        if blue:
            core_bridge(made.netns, BLUE, index=1)
        domain = phase2(MANAGED_DOMAIN, mac=made.layout.mac, mtu=made.layout.mtu)
        hook.define(domain, json.dumps(vmi))
        with explained(side):
            yield made, side


def test_a_vm_without_any_nic_of_ours_gets_one_and_another_after_that_is_gone(tmp_path):
    with masqueraded() as (made, side):
        assert networks(side) == {}
        for _ in range(2):
            with plugged(made, tmp_path) as (_, guest):
                until(lambda: BLUE in networks(side), "the sidecar serves it")
                guest.ip("link set eth0 up")
                until(lambda guest=guest: leased(guest, tries=1), "a lease")
            unplug(made.netns, BLUE)
            made.netns.ip("link del 16477688c0e-nic")
            until(lambda: networks(side) == {}, "the sidecar serves nobody")


def test_kubevirts_server_for_a_nic_of_another_binding_is_not_muted(tmp_path):
    with masqueraded(blue=True) as (made, side), ExitStack() as stack:
        assert [*networks(side)] == ["blue"]
        own = made.layout.ipv4[0]
        masquerade = dnsmasq(
            *(made.netns, "k6t-eth0", tmp_path / "masquerade"),
            f"--shared-network=k6t-eth0,{own.ip}",
            f"--dhcp-range={own.ip},{own.ip},{own.netmask},infinite",
        )
        stack.enter_context(masquerade)
        guest = stack.enter_context(cable(made.netns, mac=made.layout.mac, mtu=made.layout.mtu))
        guest.ip("link set eth0 up")
        until(lambda: leased(guest, tries=1), "a lease of KubeVirt's server")
        assert is_mute(made) == 0


def test_its_settings_are_those_of_the_defaults_and_of_an_annotation_that_waits_for_it(tmp_path):
    annotations = {"dsbridge.io/blue": {"dns": ["10.100.0.53"]}}
    defaults = {"DSBRIDGE_DEFAULTS": '{"lease": 600, "dns": ["10.9.9.9"]}'}
    with running(annotations, **defaults) as (made, side, _), plugged(made, tmp_path):
        until(lambda: "blue" in networks(side), "the sidecar knows its name")
        told = networks(side)["blue"]["told"]
        assert (told["lease"], told["dns"]) == (600, ["10.100.0.53"])


def test_what_is_unplugged_leaves_nothing_and_can_be_plugged_in_again(tmp_path):
    with running() as (made, side, first):
        for _ in range(2):
            with plugged(made, tmp_path) as (_, guest):
                until(lambda: BLUE in networks(side), "the sidecar serves it")
                guest.ip("link set eth0 up")
                until(lambda guest=guest: leased(guest, tries=1), "a lease")
                assert is_filtered(made)
            unplug(made.netns, BLUE)
            made.netns.ip("link del 16477688c0e-nic")
            until(lambda: BLUE not in networks(side), "the sidecar serves it no more")
            until(lambda: not is_filtered(made), "its guard is gone")
            names = {one["ifname"] for one in made.netns.query("link", "show")}
            assert sum(name.startswith("dsb-listen") for name in names) <= 2  # of tap0, eth0-nic
            assert not side.status()["guests"][0]["warnings"]
            assert leased(first)


def plug(made, number, mac, *addresses):
    """Plug the network `more<number>` in, as CNI and phase 1 do; return its pod link's name."""
    link = link_names.hashed(f"more{number}")
    made.gateway.ip(f"""
        link add more{number} type veth peer name {link} address {mac} netns {made.netns.name}
        link set more{number} up""")
    made.netns.ip(f"link set {link} up")
    made.netns.ip("\n".join(f"addr add {one} dev {link}" for one in addresses))
    core_bridge(made.netns, link, index=number)
    return link


@pytest.mark.matrix
def test_two_nics_that_are_plugged_in_at_once_and_one_again_with_another_mac(tmp_path):
    """The second has IPv6 alone; both are unplugged at once."""
    macs = "0a:58:0a:65:00:05", "0a:58:0a:65:00:06"
    with running() as (made, side, first):
        links = [
            plug(made, 1, macs[0], "10.101.0.5/24", "fd00:10:101::5/64"),
            plug(made, 2, macs[1], "fd00:10:102::5/64"),
        ]
        names = [link_names.names_of(link, primary=False) for link in links]
        with (
            cable(made.netns, names[0].tap, mac=macs[0]) as one,
            cable(made.netns, names[1].tap, mac=macs[1]) as two,
            client("networkd", two, tmp_path, families=(6,)) as inside,
        ):
            one.ip("link set eth0 up")
            until(lambda: leased(one, tries=1), "a lease")
            lease = inside.lease(until=lambda now: bool(now.ipv6))
            assert [str(each.ip) for each in lease.ipv6] == ["fd00:10:102::5"]
        for link, named in zip(links, names, strict=True):
            unplug(made.netns, link)
            made.netns.ip(f"link del {named.nic}")
        until(lambda: [*networks(side)] == ["default"], "the sidecar serves neither")
        link = plug(made, 1, macs[1], "10.101.0.77/24")
        with cable(made.netns, names[0].tap, mac=macs[1]) as again:
            again.ip("link set eth0 up")
            until(lambda: "10.101.0.77" in asked_once(again, tries=1), "its new address")
            assert networks(side)[link]["mac"] == macs[1]
        assert leased(first, hostname="b")


def test_a_sidecar_that_was_away_meanwhile_takes_the_placeholders_addresses_and_says_so(tmp_path):
    with running() as (made, side, first):
        side.process.kill()
        side.process.wait()
        with (
            plugged(made, tmp_path) as (_, guest),
            sidecar(made, NETWORK_BINDING_PLUGIN_NAME="") as again,
            collect(again.hooks_dir),
        ):
            until(lambda: BLUE in networks(again), "the sidecar serves it")
            guest.ip("link set eth0 up")
            until(lambda: "10.100.0.5" in asked_once(guest, tries=1), "a lease")
            assert "routes" in " ".join(networks(again)[BLUE]["warnings"])
            assert leased(first, hostname="b")
