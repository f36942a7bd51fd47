"""Which interfaces are ours, who wires them and which links carry them."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_interface

import pytest

from binding.discover.nic import Attachment, MissingLink
from binding.discover.vmi import VmiError, decode
from binding.packet import link_names
from tests import samples
from tests.samples import (
    FLAT_LINK,
    MANAGED,
    ONE,
    POD_MAC,
    discovered,
    overridden,
    told,
)

# Which interfaces are ours


def test_interfaces_of_the_plugin_name_are_ours():
    vmi = samples.vmi("18-second-plugin-name")
    pod = samples.snapshot(FLAT_LINK, samples.secondary("blue"))
    assert [g.network for g in discovered(vmi, pod, plugin="dsbridge-b").guests] == ["blue"]


@pytest.mark.parametrize("plugin", [None, ""])
def test_without_a_plugin_name_it_is_dsbridge(plugin):
    found = discovered(samples.vmi("05-sriov-mix"), plugin=plugin)
    assert [(g.network, g.shape) for g in found.guests] == [("default", "own")]


def test_core_bridges_of_a_vmi_with_hook_sidecars_are_taken_over():
    vmi = samples.vmi("17-hooksidecar-annotation-core-bridge")
    (guest,) = discovered(vmi, attached=MANAGED, plugin=None).guests
    assert (guest.shape, guest.tap, guest.bridge, guest.nic) == (
        ("takeover", "tap0", "k6t-eth0", "eth0-nic")
    )


@pytest.mark.parametrize(
    "vmi, plugin",
    [
        ("17-hooksidecar-annotation-core-bridge", "dsbridge"),
        ("14-core-bridge-reference", None),
    ],
    ids=["with a plugin name", "without the annotation"],
)
def test_core_bridges_are_left_alone_else(vmi, plugin):
    found = discovered(samples.vmi(vmi), plugin=plugin)
    assert found.guests == ()
    assert "has binding dsbridge" in found.warnings[0].text


def test_core_bridges_stay_core_when_another_interface_names_our_plugin():
    vmi = samples.vmi("04-mixed-core-bridge-secondary", {"hooks.kubevirt.io/hookSidecars": "[{}]"})
    assert [g.network for g in discovered(vmi, plugin=None).guests] == ["default"]


def test_an_absent_interface_is_skipped():
    vmi = samples.vmi("15-state-absent")
    states = {interface.name: interface.state for interface in vmi.interfaces}
    assert states["blue"] == "absent"
    assert [g.network for g in discovered(vmi).guests] == ["default"]


def test_a_network_that_is_neither_the_pods_nor_multus_is_refused_by_name():
    instance = samples.vmi_object("01-single-binding")
    (network,) = instance["spec"]["networks"]
    del network["pod"]
    network["resourceClaim"] = {"claimName": "nic", "requestName": "one"}
    with pytest.raises(VmiError, match="network default: is neither `pod` nor `multus`"):
        discovered(decode(json.dumps(instance).encode()))


def test_an_interface_without_network_is_refused():
    vmi = replace(ONE, networks=())
    with pytest.raises(VmiError, match=r"spec.networks: no entry is named 'default'; add"):
        discovered(vmi)


# Shape


@pytest.mark.parametrize(
    "attachment, shape, tap",
    [
        (None, "own", "tap0"),
        (Attachment(), "own", "tap0"),
        (Attachment("eth0", POD_MAC, 1450), "own", "tap0"),
        (Attachment("tap0", POD_MAC, 1450), "managed", "tap0"),
        (Attachment("tapcni", POD_MAC, 1450), "managed", "tapcni"),
    ],
    ids=["no element", "no target", "target is the pod link", "KubeVirt's tap", "a CNI's tap"],
)
def test_shape_is_read_from_the_domain(attachment, shape, tap):
    found = discovered(ONE, attached={"default": attachment} if attachment else {})
    (guest,) = found.guests
    assert (guest.shape, guest.tap) == (shape, tap)
    assert len(found.wirings) == (shape == "own")


@pytest.mark.parametrize("kind", ["tun", "macvtap", "ipvtap"])
def test_a_pod_link_that_qemu_can_open_is_managed_and_has_no_bridge(kind):
    pod = samples.snapshot(replace(FLAT_LINK, kind=kind))
    guest = told(ONE, pod, {"default": Attachment("eth0", POD_MAC, 1450)})
    assert (guest.shape, guest.tap, guest.bridge, guest.nic) == ("managed", "eth0", "", "")


def test_bridge_and_port_of_a_cni_that_wired_itself_are_found():
    pod = samples.snapshot(
        FLAT_LINK,
        samples.pod_link("tap0", (), (), index=5, bridge="br-cni"),
        samples.pod_link("uplink", (), (), index=6, bridge="br-cni"),
    )
    guest = told(ONE, pod, MANAGED)
    assert (guest.bridge, guest.nic) == ("br-cni", "uplink")


def test_a_tap_of_the_cni_without_a_bridge_has_neither_bridge_nor_port():
    pod = samples.snapshot(FLAT_LINK, samples.pod_link("tap0", (), (), index=5))
    guest = told(ONE, pod, MANAGED)
    assert (guest.shape, guest.bridge, guest.nic) == ("managed", "", "")


def test_a_tap_that_a_killed_run_left_is_wired_anew():
    pod = samples.snapshot(FLAT_LINK, samples.pod_link("tap0", (), (), index=5))
    guest = told(ONE, pod)
    assert (guest.shape, guest.bridge, guest.nic) == ("own", "k6t-eth0", "eth0-nic")


def test_our_own_tap_in_a_later_pass_stays_own():
    first = discovered(ONE)
    later = discovered(ONE, attached=MANAGED, wired=("tap0",))
    assert later == first
    assert first.guests[0].shape == "own"


# Links


def test_own_wiring_keeps_what_the_cni_made():
    (wiring,) = discovered(samples.vmi("08-explicit-mac")).wirings
    assert wiring.names == link_names.LinkNames("eth0", "tap0", "k6t-eth0", "eth0-nic")
    assert (wiring.mac, wiring.mtu, wiring.queues, wiring.owner) == (POD_MAC, 1450, 1, 107)
    assert wiring.addresses == FLAT_LINK.addresses
    assert wiring.routes == FLAT_LINK.routes


def test_own_wiring_has_the_domains_queues():
    assert discovered(samples.vmi("07-multiqueue")).wirings[0].queues == 4
    assert discovered(samples.vmi("10-e1000")).wirings[0].queues == 1


@pytest.mark.parametrize("vmi", ["12-udn-primary-name"])
def test_the_primary_link_may_have_another_name(vmi):
    parsed = samples.vmi(vmi)
    name = parsed.status("default").pod_link
    assert name != "eth0"
    guest = told(parsed, samples.snapshot(replace(FLAT_LINK, name=name)))
    assert (guest.tap, guest.bridge, guest.nic) == ("tap0", f"k6t-{name}", f"{name}-nic")


def test_a_multus_default_network_is_the_primary_one():
    guest = told(samples.vmi("11-multus-default"))
    assert (guest.network, guest.tap, guest.nic) == ("ovn", "tap0", "eth0-nic")


def test_a_secondary_network_has_the_hashed_names():
    pod = samples.snapshot(FLAT_LINK, samples.secondary("blue", "192.0.2.7/24"))
    _, guest = discovered(samples.vmi("03-two-iface-multus"), pod).guests
    assert (guest.tap, guest.bridge, guest.nic) == (
        ("tap16477688c0e", "k6t-16477688c0e", "16477688c0e-nic")
    )
    assert guest.ipv4 == (ip_interface("192.0.2.7/24"),)
    assert (guest.mac, guest.mtu) == ("02:00:00:00:00:07", 9000)
    assert guest.default4 is None
    assert guest.default6 is None


def test_a_legacy_pod_has_ordinal_names():
    pod = samples.snapshot(FLAT_LINK, samples.secondary("blue", name="net1"))
    _, guest = discovered(samples.vmi("03-two-iface-multus"), pod).guests
    assert (guest.tap, guest.nic) == ("tap1", "net1-nic")


def test_a_missing_link_is_named_with_those_there_are():
    with pytest.raises(MissingLink, match=r"network blue: .* pod16477688c0e, only lo, eth0; check"):
        discovered(samples.vmi("03-two-iface-multus"))


def test_a_sidecar_restarted_after_the_rewiring_serves_on_and_says_what_it_lost():
    placeholder = replace(FLAT_LINK, kind="dummy", routes=(), up=False)
    nic = samples.pod_link("eth0-nic", (), (), index=9, mac="02:00:00:00:00:09")
    found = discovered(ONE, samples.snapshot(placeholder, nic), MANAGED)
    assert found.guests[0].ipv4 == (ip_interface("10.244.1.5/24"),)
    assert found.guests[0].mac == POD_MAC
    assert "the routes of eth0 are unknown" in found.warnings[0].text


def test_what_was_read_before_the_rewiring_needs_no_warning():
    nic = samples.pod_link("eth0-nic", (), (), index=9)
    assert discovered(ONE, samples.snapshot(FLAT_LINK, nic), MANAGED).warnings == ()


def test_a_rewired_nic_without_ipam_has_no_placeholder():
    nic = samples.pod_link("eth0-nic", (), (), index=9, mac="02:00:00:00:00:09")
    found = discovered(ONE, samples.snapshot(nic), MANAGED)
    assert (found.guests[0].mac, found.guests[0].ipv4) == (POD_MAC, ())
    assert found.warnings == ()


# MAC and MTU

SPEC, STATUS, DOMAIN = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


@pytest.mark.parametrize("shape", ["managed", "own"])
@pytest.mark.parametrize("spec", ["", SPEC])
@pytest.mark.parametrize("migrating", [True, False])
def test_mac(shape, spec, migrating):
    vmi = samples.vmi("13-migration-target", macAddress=spec)
    vmi = replace(vmi, migration_target=migrating)
    attached = {"default": Attachment("tap0", DOMAIN, 1450)} if shape == "managed" else {}
    found = discovered(vmi, attached=attached)
    if migrating:
        wanted = vmi.status("default").mac
    elif shape == "managed":
        wanted = DOMAIN
    else:
        wanted = spec or POD_MAC
    assert found.guests[0].mac == wanted
    disagree = shape == "managed" and bool(spec) and not migrating
    assert [f"MAC {DOMAIN} instead of the VMI's {SPEC}" in w.text for w in found.warnings] == (
        [True] if disagree else []
    )


def test_mtu_is_the_pod_links():
    assert told(ONE).mtu == 1450


def test_a_domain_with_a_larger_mtu_than_the_link_is_warned_of():
    found = discovered(ONE, attached={"default": Attachment("tap0", POD_MAC, 1500)})
    assert found.guests[0].mtu == 1450
    (warning,) = found.warnings
    assert warning == (
        "default",
        "MTU differs, link eth0 has 1450, the domain has 1500; the guest is told 1450 at most",
    )


def test_a_link_with_a_larger_mtu_than_the_domain_is_no_problem():
    """As where somebody has raised that of the pod NIC alone: all that the guest sends goes."""
    found = discovered(ONE, attached={"default": Attachment("tap0", POD_MAC, 1400)})
    assert found.guests[0].mtu == 1400
    assert not found.warnings


def test_mtu_of_the_override_may_only_be_smaller():
    assert overridden(mtu=1280).mtu == 1280
    vmi = samples.vmi("01-single-binding", {"dsbridge.io/default": '{"mtu": 9000}'})
    found = discovered(vmi)
    assert found.guests[0].mtu == 1450
    assert "MTU 9000 of the override is more than the path has" in found.warnings[0].text


def test_a_domain_that_we_have_lowered_is_no_warning_in_a_later_pass():
    vmi = samples.vmi("01-single-binding", {"dsbridge.io/default": '{"mtu": 1300}'})
    first = discovered(vmi, attached={"default": Attachment("tap0", POD_MAC, 1450)})
    later = discovered(vmi, attached={"default": Attachment("tap0", POD_MAC, 1300)})
    assert later == first
    assert (first.guests[0].mtu, first.warnings) == (1300, ())
