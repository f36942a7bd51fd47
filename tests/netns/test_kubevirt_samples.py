"""Every VMI that KubeVirt's own converter was given, through the running sidecar."""

import json
from contextlib import ExitStack, contextmanager

import pytest
from lxml import etree

from binding.packet import link_names
from tests import samples
from tests.bed import handler
from tests.bed.domain_schema import complaints
from tests.bed.launcher import collect
from tests.bed.pod import pod
from tests.bed.sidecar import sidecar

_PHASE1 = ".tap.prephase2"
MANAGED = [name.removesuffix(_PHASE1) for name in samples.DOMAINS if name.endswith(_PHASE1)]


def pod_link(value, network):
    """The pod link of a network, as KubeVirt names it."""
    for status in value["status"].get("interfaces", []):
        if status["name"] == network["name"] and "podInterfaceName" in status:
            return status["podInterfaceName"]
    primary = "pod" in network or network["multus"].get("default")
    return "eth0" if primary else link_names.hashed(network["name"])


def ours(value):
    """The networks that the plugin dsbridge serves, in the VMI's order."""
    return [
        interface["name"]
        for interface in value["spec"]["domain"]["devices"]["interfaces"]
        if interface.get("binding") == {"name": "dsbridge"} and interface.get("state") != "absent"
    ]


@contextmanager
def running(value, **environ):
    """A pod with a link for every network of the VMI, and the sidecar in it."""
    with ExitStack() as stack:
        made = stack.enter_context(pod("flat"))
        links = {network["name"]: pod_link(value, network) for network in value["spec"]["networks"]}
        for index, link in enumerate(set(links.values()) - {"eth0"}):
            made.gateway.ip(
                f"link add more{index} type veth peer name {link} netns {made.netns.name}\n"
                f"link set more{index} up"
            )
            made.netns.ip(f"link set {link} up\naddr add 10.200.{index}.5/24 dev {link}")
        side = stack.enter_context(sidecar(made, **environ))
        hook = stack.enter_context(collect(side.hooks_dir))
        yield made, side, hook, links


def phase2(domain, links, macs):
    """What virt-launcher fills in for the NICs that KubeVirt generated."""
    root = etree.fromstring(domain)
    for nic in root.iterfind("devices/interface"):
        network = nic.find("alias").get("name").removeprefix("ua-")
        primary = links[network] == "eth0"
        tap = link_names.names_of(links[network], primary=primary).tap
        etree.SubElement(nic, "target", dev=tap, managed="no")
        if nic.find("mac") is None:
            etree.SubElement(nic, "mac", address=macs[links[network]])
        etree.SubElement(nic, "mtu", size="1450" if primary else "1500")
    return etree.tostring(root, encoding="unicode")


def macs(made):
    return {link["ifname"]: link["address"] for link in made.netns.query("link", "show")}


def nics(domain):
    """alias -> tap of the domain's interfaces, in order; generated placeholders left out."""
    found = {}
    for nic in etree.fromstring(domain).iterfind("devices/interface"):
        alias = nic.find("alias").get("name")
        if alias.startswith("ua-"):
            found[alias.removeprefix("ua-")] = nic.find("target").get("dev")
    return found


@pytest.mark.parametrize("name", samples.VMIS)
def test_own_shape_gives_every_nic_of_ours_its_tap_in_the_vmis_order(name):
    value = samples.vmi_object(name)
    domain = f"{name}.sidecar-only.prephase2"
    if domain not in samples.DOMAINS:
        domain = "01-single-binding.sidecar-only.prephase2"
    with running(value) as (made, side, hook, links):
        # NICs of other bindings, which virt-launcher has completed by now.
        before = phase2(samples.domain_xml(domain), links, macs(made))
        after = hook.define(before, json.dumps(value))
        served = ours(value)
        assert [network for network in nics(after) if network in served] == served
        assert [guest["network"] for guest in side.status()["guests"]] == served
        assert all(made.netns.has(nics(after)[network]) for network in served)
        assert complaints(after, made.workdir) == ""


@pytest.mark.parametrize("name", MANAGED)
def test_managed_shape_leaves_the_domain_as_kubevirt_made_it(name):
    value = samples.vmi_object(name)
    with running(value) as (made, side, hook, links):
        domain = phase2(samples.domain_xml(f"{name}{_PHASE1}"), links, macs(made))
        vcpus = value["spec"]["domain"]["cpu"]
        devices = value["spec"]["domain"]["devices"]
        several = vcpus["cores"] * vcpus["sockets"] * vcpus["threads"]
        for interface in devices["interfaces"]:
            if interface["name"] in ours(value):
                multiqueue = devices.get("networkInterfaceMultiqueue") and "model" not in interface
                queues = several if multiqueue else 1
                handler.managed_tap(made.netns, links[interface["name"]], queues=queues)
        assert hook.on_define_domain(domain, json.dumps(value)) == domain
        shapes = [guest["shape"] for guest in side.status()["guests"]]
        assert shapes == ["managed"] * len(ours(value))


def test_takeover_serves_a_core_bridge_under_the_hook_sidecar_annotation():
    value = samples.vmi_object("17-hooksidecar-annotation-core-bridge")
    with running(value, NETWORK_BINDING_PLUGIN_NAME="") as (made, side, hook, _):
        handler.core_bridge(made.netns)
        domain = samples.domain_xml("01-single-binding.managedtap.phase2").decode()
        assert hook.on_define_domain(domain, json.dumps(value)) == domain
        (guest,) = side.status()["guests"]
        assert (guest["shape"], guest["tap"]) == ("takeover", "tap0")
