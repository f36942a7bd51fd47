"""The networkData that dsbridge writes, rendered by cloud-init and used by what it rendered for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv6Interface
from pathlib import Path

import pytest

from tests.bed.clients.networkd import Networkd
from tests.bed.clients.networkmanager import NetworkManager
from tests.bed.clients.userland import userland
from tests.bed.cloud_init import RENDERERS, cloud_init_data, nics, rendered
from tests.bed.guests import Started, started_in
from tests.bed.layouts import LAYOUTS
from tests.bed.netns import Netns, netns
from tests.bed.pod import pod
from tests.bed.wait import until

FLAT = LAYOUTS["flat"]
# What makes each renderer's file hold for the NIC, in lower case: its name or its MAC.
HOLDS = {
    "netplan": ("macaddress: {mac}\n", "name: e*"),
    "networkd": ("name={nic}\n", "name={nic}\n"),
    "sysconfig": ("device={nic}\n", "device={nic}\n"),
    "eni": ("auto {nic}\n", "auto {nic}\n"),
    "network-manager": ("mac-address={mac}\n", "interface-name={nic}\n"),
}
FIRST, NEXT = FLAT.mac, "0a:58:0a:f4:01:99"


@contextmanager
def vm(mac: str, fixed: str = "") -> Iterator[tuple[Started, Netns]]:
    """Start a VM in a pod with this MAC; its NIC is like hardware, which a tap is not."""
    layout = replace(FLAT, mac=mac)
    with (
        pod(layout) as made,
        started_in(made, mac=fixed, DSBRIDGE_CLOUD_INIT="1") as begun,
    ):
        yield begun, begun.guest


def plug(guest: Netns, nic: str, mac: str) -> None:
    """Make the guest's NIC a veth behind the tap that eth0 is."""
    guest.ip(f"""
        link set eth0 name cable address 02:00:00:00:00:fe
        link add port type veth peer name {nic} address {mac}
        link add switch type bridge
        link set cable master switch
        link set port master switch
        link set cable up
        link set port up
        link set switch up addrgenmode none""")


def network_data(begun: Started, source: str = "noCloud") -> str:
    asked = cloud_init_data(DataSource=source)
    return begun.hook.pre_cloud_init_iso(asked, begun.vmi)["NetworkData"]


@pytest.fixture(scope="module")
def first_pod() -> Iterator[dict[str, str]]:
    """What a VM with one NIC is given by its first pod, by its source of cloud-init."""
    with vm(FIRST) as (begun, _):
        yield {source: network_data(begun, source) for source in ("noCloud", "configDrive")}


@pytest.mark.parametrize("nic", ["enp1s0", "eth0"])
@pytest.mark.parametrize("source", ["noCloud", "configDrive"])
@pytest.mark.parametrize("renderer", RENDERERS)
def test_each_renderer_configures_the_nic_that_there_is(
    renderer: str, source: str, nic: str, first_pod: dict[str, str], tmp_path: Path
) -> None:
    with netns("guest") as guest:
        nics(guest, **{nic: FIRST})
        files = rendered(renderer, first_pod[source], guest, tmp_path)
    text = "\n".join(files.values()).lower()
    assert any(one.format(nic=nic, mac=FIRST) in text for one in HOLDS[renderer]), text
    for word in ("default", "this-pod"):
        assert not {f"Name={word}", f"DEVICE={word}", f"auto {word}", f"set-name: {word}"} & {
            line.strip() for text in files.values() for line in text.splitlines()
        }


@pytest.mark.parametrize("nic", ["enp1s0", pytest.param("eth0", marks=pytest.mark.matrix)])
@pytest.mark.parametrize("renderer", ["netplan", "networkd", "network-manager"])
@pytest.mark.parametrize("mac", [FIRST, NEXT], ids=["first pod", "next pod"])
def test_the_guest_has_its_addresses_in_this_pod_and_the_next(
    mac: str, renderer: str, nic: str, first_pod: dict[str, str], tmp_path: Path
) -> None:
    with netns("guest") as guest:
        nics(guest, **{nic: FIRST})
        files = rendered(renderer, first_pod["noCloud"], guest, tmp_path / "root")
    with vm(mac) as (_, guest):
        plug(guest, nic, mac)
        with userland(guest, nic, tmp_path / "client") as home:
            for path, text in files.items():
                home.write(path, text, 0o600 if path.endswith("nmconnection") else 0o644)
            if renderer == "netplan":
                home.run("netplan", "generate")
            program = NetworkManager if renderer == "network-manager" else Networkd
            program(home, (4, 6)).run()

            def told() -> bool:
                addresses = {
                    f"{one['local']}/{one['prefixlen']}"
                    for one in guest.query("addr", "show", "dev", nic)[0]["addr_info"]
                }
                return {str(FLAT.ipv4[0]), str(IPv6Interface(FLAT.ipv6[0].ip))} <= addresses

            until(told, "the pod's addresses", 30)
