"""networkData for a guest whose user wrote none."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binding.discover.vmi import Vmi
from binding.hooks.cloud_init import CloudInitError, complete, warnings
from guest.network import GuestNetwork
from tests import samples
from tests.bed.cloud_init import cloud_init_data

MAC = "0a:58:0a:f4:01:05"
GUEST = GuestNetwork(
    "default",
    "tap0",
    MAC,
    1450,
    ipv4=(ip_interface("10.0.0.5/24"),),
    ipv6=(ip_interface("fd00::5/64"),),
)
SECOND = replace(GUEST, network="blue", mac="02:00:00:00:00:07", ipv6=())

DATA = cloud_init_data()
# As virt-launcher marshals the older CloudInitNoCloudSource: JSON names, empty fields left out.
SOURCE = {"userData": "#cloud-config\npassword: fedora\n"}


def completed(source: dict[str, Any], *guests: GuestNetwork) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(complete(json.dumps(source).encode(), guests or [GUEST]))
    return found


@pytest.mark.parametrize(
    "source, key", [(DATA, "NetworkData"), (SOURCE, "networkData")], ids=["new", "old"]
)
def test_each_nic_is_configured_by_its_mac_and_nothing_else_changes(source, key):
    """cloud-init's renderers but netplan's take an entry's key for the NIC's name."""
    found = completed(source, GUEST, SECOND)
    assert json.loads(found[key]) == {
        "version": 2,
        "ethernets": {
            "enp1s0": {
                "match": {"macaddress": MAC},
                "dhcp4": True,
                "dhcp6": True,
                "accept-ra": True,
            },
            "enp2s0": {
                "match": {"macaddress": "02:00:00:00:00:07"},
                "dhcp4": True,
                "dhcp6": False,
            },
        },
    }
    assert found | {key: ""} == source | {key: ""}


def test_the_only_nic_is_also_found_without_the_mac_of_this_pod():
    ethernets = json.loads(completed(DATA)["NetworkData"])["ethernets"]
    asks = {"dhcp4": True, "dhcp6": True, "accept-ra": True}
    assert ethernets == {
        "this-pod": {"match": {"macaddress": MAC}, **asks},
        "enp1s0": {"match": {"name": "e*"}, **asks},
        "eth0": {"match": {"name": "e*"}, **asks},
    }


def test_the_only_nic_is_found_by_a_mac_that_the_vmi_fixes_alone():
    given = json.dumps(DATA).encode()
    instance = samples.vmi("01-single-binding", macAddress=MAC)
    found = json.loads(json.loads(complete(given, [GUEST], instance))["NetworkData"])
    assert [entry["match"] for entry in found["ethernets"].values()] == [{"macaddress": MAC}]


@pytest.mark.parametrize(
    "change, wanted",
    [
        ({"ipv6_mode": "slaac"}, (True, False, True)),
        ({"ipv6_mode": "both"}, (True, True, True)),
        ({"ipv6_mode": "off"}, (True, False, None)),
        ({"ipv4_mode": "off"}, (False, True, True)),
        ({"ipv4": ()}, (False, True, True)),
        ({"provider": "kube-ovn"}, (True, True, True)),
    ],
)
def test_families_are_those_that_the_guest_is_served(change, wanted):
    config = json.loads(completed(DATA, replace(GUEST, **change))["NetworkData"])
    for nic in config["ethernets"].values():
        assert (nic["dhcp4"], nic["dhcp6"], nic.get("accept-ra")) == wanted


SLAAC = replace(GUEST, ipv4=(), ipv6_mode="slaac")


def test_a_nic_with_slaac_alone_is_told_by_version_1_where_that_says_no_less():
    """Of version 2, cloud-init renders `inet manual` for ifupdown, and the NIC stays down."""
    fixed = samples.vmi("01-single-binding", macAddress=MAC)
    found = json.loads(complete(json.dumps(DATA).encode(), [SLAAC], fixed))
    nic = {"type": "physical", "name": "enp1s0", "mac_address": MAC, "accept-ra": True}
    wanted = {"version": 1, "config": [nic | {"subnets": [{"type": "ipv6_slaac"}]}]}
    assert json.loads(found["NetworkData"]) == wanted
    assert not [*warnings(json.dumps(DATA).encode(), [SLAAC], fixed)]
    by_two = json.loads(completed(DATA, SLAAC, SECOND)["NetworkData"])
    assert (by_two["version"], len(by_two["config"])) == (1, 2)


@pytest.mark.parametrize(
    "others", [[], [replace(SECOND, provider="off")], [replace(SECOND, cloud_init="static")]]
)
def test_a_nic_with_slaac_alone_is_warned_of_where_version_1_would_say_less(others):
    name = "03-two-iface-multus" if others else "01-single-binding"
    guests = [SLAAC, *others]
    found = json.loads(complete(json.dumps(DATA).encode(), guests, samples.vmi(name)))
    assert json.loads(found["NetworkData"])["version"] == 2
    told = [*warnings(json.dumps(DATA).encode(), guests, samples.vmi(name))]
    assert [one.network for one in told if "images with ifupdown" in one.text] == ["default"]


@pytest.mark.parametrize("change", [{"ipv4": (), "ipv6": ()}, {"provider": "off"}])
def test_a_nic_that_we_leave_alone_asks_the_network_and_holds_up_no_boot(change):
    """cloud-init configures no NIC that is not in the file, so it would lose its fallback."""
    instance = samples.vmi("03-two-iface-multus")
    names = [interface.name for interface in instance.interfaces]
    guests = [replace(GUEST, network=names[0]), replace(SECOND, network=names[1], **change)]
    found = json.loads(complete(json.dumps(DATA).encode(), guests, instance))
    assert json.loads(found["NetworkData"])["ethernets"]["enp2s0"] == {
        "match": {"macaddress": SECOND.mac},
        **dict.fromkeys(("dhcp4", "dhcp6", "accept-ra", "optional"), True),
    }


@pytest.mark.parametrize("change", [{"ipv4": (), "ipv6": ()}, {"provider": "off"}])
def test_where_we_leave_all_nics_alone_so_is_cloud_init(change):
    given = json.dumps(DATA | {"UserData": "#cloud-config"}).encode()
    assert complete(given, [replace(GUEST, **change)]) == given


def test_a_config_drive_gets_openstacks_network_data():
    config = json.loads(completed(DATA | {"DataSource": "configDrive"})["NetworkData"])
    assert config["links"] == [{"id": "default", "type": "phy", "ethernet_mac_address": MAC}]
    assert [(network["link"], network["type"]) for network in config["networks"]] == [
        ("default", "ipv4_dhcp"),
        ("default", "ipv6_dhcp"),
    ]


TWO = samples.vmi("03-two-iface-multus")
DRIVE = DATA | {"DataSource": "configDrive"}


def warned(source: dict[str, Any], vmi: Vmi, *guests: GuestNetwork) -> list[str]:
    return [one.network for one in warnings(json.dumps(source).encode(), guests, vmi)]


def test_a_nic_that_only_this_pods_mac_finds_is_warned_of():
    names = [interface.name for interface in TWO.interfaces]
    two = [replace(GUEST, network=names[0]), replace(SECOND, network=names[1])]
    assert warned(DATA, TWO, *two) == warned(SOURCE, TWO, *two) == names
    fixed = samples.vmi("03-two-iface-multus", macAddress=MAC)
    assert warned(DATA, fixed, *two) == names[1:]
    assert warned(DRIVE, samples.vmi("01-single-binding"), GUEST) == ["default"]


def test_a_nic_that_lasts_is_not_warned_of():
    one = samples.vmi("01-single-binding")
    assert warned(DATA, one, GUEST) == warned(SOURCE, one, GUEST) == []
    assert warned(DRIVE, samples.vmi("01-single-binding", macAddress=MAC), GUEST) == []
    names = [interface.name for interface in TWO.interfaces]
    two = [replace(GUEST, network=names[0]), replace(SECOND, network=names[1])]
    assert warned(DATA | {"NetworkData": "version: 2\n"}, TWO, *two) == []
    again = "#cloud-config\nupdates: {network: {when: [boot]}}\n"
    assert warned(DATA | {"UserData": again}, TWO, *two) == []


def test_without_user_data_cloud_init_is_told_to_read_again():
    source = DATA | {"UserData": ""}
    names = [interface.name for interface in TWO.interfaces]
    two = [replace(GUEST, network=names[0]), replace(SECOND, network=names[1])]
    found = json.loads(complete(json.dumps(source).encode(), two, TWO))
    assert found["UserData"].splitlines() == [
        "#cloud-config",
        "updates: {network: {when: [boot-new-instance, boot]}}",
    ]
    assert warned(source, TWO, *two) == []


@pytest.mark.parametrize(
    "source",
    [
        DATA | {"NetworkData": "version: 2\n"},
        SOURCE | {"networkData": "version: 2\n"},
        SOURCE | {"networkDataBase64": "dmVyc2lvbjogMgo="},
        SOURCE | {"networkDataSecretRef": {"name": "net"}},
    ],
)
def test_what_the_user_wrote_stays_as_it_is(source):
    text = json.dumps(source, indent=1).encode()
    assert complete(text, [GUEST]) == text


@pytest.mark.parametrize(
    "guests",
    [
        [],
        [replace(GUEST, ipv4=(), ipv6=())],
        [replace(GUEST, provider="off")],
        [replace(GUEST, ipv4_mode="off", ipv6_mode="off")],
    ],
    ids=["no guest", "no IPAM", "provider off", "both families off"],
)
def test_a_vm_that_we_do_not_serve_keeps_cloud_inits_fallback(guests):
    text = json.dumps(DATA, indent=1).encode()
    assert complete(text, guests) == text


def test_a_vm_with_nics_of_other_bindings_keeps_cloud_inits_fallback():
    text = json.dumps(DATA).encode()
    assert complete(text, [GUEST], samples.vmi("04-mixed-core-bridge-secondary")) == text
    assert complete(text, [GUEST], samples.vmi("01-single-binding")) != text


def test_without_user_data_virt_launcher_would_lose_the_metadata():
    source = DATA | {"UserData": "", "NetworkData": "version: 2\n"}
    assert completed(source) == source | {"UserData": "#cloud-config\n{}\n"}


@pytest.mark.parametrize("text", [b"", b"null"])
def test_an_absent_object_stays_absent(text):
    assert complete(text, [GUEST]) == text


@pytest.mark.parametrize("text", [b"{", b"[]", b"1", b"\xff", b"[" * 100_000])
def test_what_is_no_cloud_init_data_is_refused(text):
    with pytest.raises(CloudInitError, match="cloud-init data is not"):
        complete(text, [GUEST])


def test_no_depth_raises_anything_else():
    """What Python's recursion limit still lets in, it must let out again."""
    for depth in range(800, 1100, 3):
        text = b'{"DataSource": "noCloud", "x": ' + b"[" * depth + b"]" * depth + b"}"
        try:
            assert complete(text, [GUEST]) != text
        except CloudInitError as error:
            assert "not JSON" in str(error)  # noqa: PT017  # either outcome is right


@given(st.binary(max_size=100))
def test_no_bytes_raise_anything_else(text):
    try:
        assert isinstance(complete(text, [GUEST]), bytes)
    except CloudInitError as error:
        assert "cloud-init data" in str(error)  # noqa: PT017  # either outcome is right
