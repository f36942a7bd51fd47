"""What is read of a VMI, and how it is said when a VMI cannot be read."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binding.discover.vmi import Vmi, VmiError, decode
from tests import samples


def changed(path: str, value: Any) -> Vmi:
    """Decode the sample with all fields after one of them was set."""
    vmi = samples.vmi_object("09-all-fields")
    *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    place = vmi
    for key in parents:
        place = place.setdefault(key, {}) if isinstance(key, str) else place[key]
    place[last] = value
    return decode(json.dumps(vmi).encode())


NIC = "spec/domain/devices/interfaces/0"


@pytest.mark.parametrize("name", samples.VMIS)
def test_every_vmi_of_kubevirt_is_read(name):
    vmi = samples.vmi(name)
    assert vmi.uid.startswith("00000000-0000-4000-8000-")
    assert [interface.name for interface in vmi.interfaces] == [n.name for n in vmi.networks]


def test_all_fields_of_an_interface_are_read():
    vmi = samples.vmi("09-all-fields")
    (nic,) = vmi.interfaces
    assert (nic.name, nic.binding, nic.core_bridge) == ("default", "dsbridge", False)
    assert (nic.mac, nic.model, nic.boot_order) == ("02:11:22:33:44:66", "virtio", 1)
    assert (nic.pci_address, nic.acpi_index, nic.state) == ("0000:05:00.0", 101, "down")
    assert (vmi.vcpus, vmi.queues(nic), vmi.transitional) == (2, 2, True)
    assert vmi.hostname == "vmi-all"
    assert vmi.status("default").pod_link == "eth0"


def test_dhcp_options_are_read():
    dhcp = samples.vmi("06-dhcp-options").interfaces[0].dhcp
    assert (dhcp.boot_file, dhcp.tftp_server) == ("pxelinux.0", "tftp.example")
    assert dhcp.ntp == (ip_address("192.0.2.10"), ip_address("192.0.2.11"))
    assert dhcp.private == ((240, b"private-240"), (254, b"x"))


def test_core_bridge_is_told_from_a_plugin():
    first, second = samples.vmi("04-mixed-core-bridge-secondary").interfaces
    assert (first.binding, first.core_bridge) == ("dsbridge", False)
    assert (second.binding, second.core_bridge) == ("", True)


def test_multus_default_network_stands_for_the_pod_network():
    (network,) = samples.vmi("11-multus-default").networks
    assert (network.kind, network.default, network.secondary) == ("multus", True, False)


def test_a_network_of_a_kind_that_we_do_not_know_is_no_secondary_one():
    (network,) = changed("spec/networks", [{"name": "dra", "resourceClaim": {}}]).networks
    assert (network.kind, network.secondary) == ("other", False)


@pytest.mark.parametrize(
    "text",
    ["02:AA:bb:cc:dd:0e", "02-aa-BB-cc-dd-0e", "02aa.bbcc.DD0E"],
    ids=["colons", "hyphens", "dots"],
)
def test_mac_is_normalised_from_any_form_that_kubevirt_takes(text):
    assert changed(f"{NIC}/macAddress", text).interfaces[0].mac == "02:aa:bb:cc:dd:0e"


@pytest.mark.parametrize(
    "text",
    [
        "02:aa:bb:cc:dd",
        "02:aa-bb:cc-dd:0e",
        "02:aa:bb:cc:dd:0e:ff:ff",
        "2:a:b:c:d:e",
        "02aabbccdd0e",
        "02:aa:bb:cc:dd:zz",
        "02:aa:bb:cc:dd:0e\n",
    ],
)
def test_what_is_no_mac_is_named_with_its_path_and_the_remedy(text):
    with pytest.raises(VmiError, match=r"interfaces\[0\]\.macAddress: .* write six bytes such as"):
        changed(f"{NIC}/macAddress", text)


@pytest.mark.parametrize(
    "cpu, resources, count",
    [
        ({"sockets": 2, "cores": 3, "threads": 2}, {}, 12),
        ({"cores": 4}, {"limits": {"cpu": "8"}}, 4),
        ({}, {"limits": {"cpu": "1500m"}, "requests": {"cpu": "9"}}, 2),
        (None, {"requests": {"cpu": "2.5"}}, 3),
        (None, {"requests": {"cpu": 3}}, 3),
        (None, {"requests": {"cpu": "gibberish"}}, 1),
        (None, {}, 1),
    ],
)
def test_vcpus_are_counted_as_kubevirt_counts_them(cpu, resources, count):
    vmi = samples.vmi_object("01-single-binding")
    vmi["spec"]["domain"] |= {"cpu": cpu, "resources": resources}
    assert decode(json.dumps(vmi).encode()).vcpus == count


def test_queues_follow_vcpus_up_to_256_and_only_for_virtio():
    many = changed("spec/domain/cpu", {"sockets": 600})
    assert many.queues(many.interfaces[0]) == 256
    e1000 = changed(f"{NIC}/model", "e1000")
    assert e1000.queues(e1000.interfaces[0]) == 0
    single = changed("spec/domain/devices/networkInterfaceMultiqueue", value=False)
    assert single.queues(single.interfaces[0]) == 0


@pytest.mark.parametrize(
    ("arriving", "seen", "queues"),
    [
        (True, {"queueCount": 2, "infoSource": "domain"}, 2),
        (True, {"queueCount": 1, "infoSource": "domain, guest-agent"}, 1),
        (True, {"queueCount": 2, "infoSource": "guest-agent"}, 4),
        (True, {"infoSource": "domain"}, 4),
        (True, {"queueCount": 999, "infoSource": "domain"}, 256),
        (False, {"queueCount": 2, "infoSource": "domain"}, 4),
    ],
)
def test_a_migration_target_has_the_queues_of_the_source_whatever_cpus_were_plugged(
    arriving, seen, queues
):
    vmi = json.loads(samples.vmi_json(name="07-multiqueue", arriving=arriving))
    vmi["status"]["interfaces"] = [{"name": "default"} | seen]
    found = decode(json.dumps(vmi).encode())
    assert found.queues(found.interfaces[0]) == queues


@pytest.mark.parametrize(
    "state, target",
    [
        (None, False),
        ({"startTimestamp": None}, True),
        ({"endTimestamp": None, "completed": False}, True),
        ({"endTimestamp": "2026-08-22T10:00:00Z"}, False),
        ({"completed": True}, False),
        ({"failed": True}, False),
    ],
)
def test_a_migration_counts_while_it_lasts(state, target):
    assert changed("status/migrationState", state).migration_target is target


def test_status_of_the_guest_agent_is_taken_as_far_as_it_makes_sense():
    status = [{"name": "default", "mac": "nonsense", "ipAddresses": ["10.0.0.1", "?", "fd00::1"]}]
    found = changed("status/interfaces", status).status("default")
    assert found.mac == ""
    assert found.addresses == (ip_address("10.0.0.1"), ip_address("fd00::1"))


@pytest.mark.parametrize("key", ["sev", "snp"])
def test_memory_encryption_is_seen(key):
    assert changed("spec/domain/launchSecurity", {key: {}}).sev
    assert not changed("spec/domain/launchSecurity", None).sev
    assert not changed("spec/domain/launchSecurity", {"tdx": {}}).sev


def test_any_launch_security_on_s390x_is_secure_execution():
    vmi = samples.vmi_object("01-single-binding")
    vmi["spec"] |= {"architecture": "s390x"}
    vmi["spec"]["domain"]["launchSecurity"] = {}
    assert decode(json.dumps(vmi).encode()).sev


def test_qemu_of_a_root_vmi_owns_its_tap_as_root():
    assert changed("status/runtimeUser", 0).runtime_user == 0
    assert changed("status/runtimeUser", None).runtime_user == 107


def test_without_a_host_name_the_guest_has_the_first_label_of_the_vmi():
    vmi = samples.vmi_object("01-single-binding")
    vmi["metadata"]["name"] = "web." + "x" * 70
    del vmi["spec"]["hostname"]
    assert decode(json.dumps(vmi).encode()).hostname == "web"
    vmi["metadata"]["name"] = "x" * 70
    assert decode(json.dumps(vmi).encode()).hostname == "x" * 63


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("metadata/name", "", "metadata.name: '' is missing"),
        ("spec", [], "spec: list must be an object"),
        ("spec/networks", {}, "spec.networks: dict must be an array"),
        (f"{NIC}/name", None, r"interfaces\[0\].name: is not valid; write letters"),
        (f"{NIC}/name", "a<b", r"interfaces\[0\].name: 'a<b' is not valid; write letters"),
        (f"{NIC}/model", "a\u0000b", r"interfaces\[0\].model: .* write a model such as"),
        (f"{NIC}/state", "sideways", r"interfaces\[0\].state: .* write up, down or absent"),
        (f"{NIC}/bootOrder", 0, r"interfaces\[0\].bootOrder: 0 must be from 1 to"),
        (f"{NIC}/bootOrder", True, r"interfaces\[0\].bootOrder: True must be an integer"),
        (f"{NIC}/acpiIndex", 1.5, r"interfaces\[0\].acpiIndex: 1.5 must be an integer"),
        (f"{NIC}/pciAddress", "05:00.0", r"pciAddress: '05:00.0' .* write it as 0000:05:00.0"),
        (f"{NIC}/dhcpOptions", {"ntpServers": ["fd00::1"]}, r"ntpServers\[0\]: 'fd00::1' is no"),
        (
            f"{NIC}/dhcpOptions",
            {"privateOptions": [{"option": 223, "value": "x"}]},
            r"privateOptions\[0\].option: 223 must be from 224 to 254",
        ),
        (
            f"{NIC}/dhcpOptions",
            {"privateOptions": [{"option": 224, "value": "x"}, {"option": 224, "value": "y"}]},
            r"privateOptions\[1\].option: 224 .* given twice",
        ),
        ("spec/domain/devices/useVirtioTransitional", "yes", "must be true or false"),
    ],
)
def test_a_bad_field_is_named_with_path_value_and_remedy(path, value, message):
    with pytest.raises(VmiError, match=message):
        changed(path, value)


def test_two_interfaces_of_one_name_are_refused():
    vmi = samples.vmi_object("03-two-iface-multus")
    vmi["spec"]["domain"]["devices"]["interfaces"][1]["name"] = "default"
    with pytest.raises(VmiError, match=r"interfaces\[1\].name: 'default' names two interfaces"):
        decode(json.dumps(vmi).encode())


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b"{}", b"{", b"\xff", b'"\\ud800"', b"[" * 100_000, b"1" * 5000],
    ids=["empty", "null", "array", "object", "half", "latin", "surrogate", "deep", "number"],
)
def test_what_is_no_vmi_is_refused(text):
    with pytest.raises(VmiError):
        decode(text)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(text):
    with pytest.raises(VmiError):
        decode(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


BASE = samples.vmi_object("06-dhcp-options")
PLACES = places(BASE)[1:]


@given(st.sampled_from(PLACES), JSON)
def test_no_value_at_any_place_raises_anything_else(path, value):
    vmi = json.loads(json.dumps(BASE))
    place = vmi
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    try:
        assert isinstance(decode(json.dumps(vmi).encode()), Vmi)
    except VmiError as error:
        assert ":" in str(error)  # noqa: PT017  # either outcome is right
