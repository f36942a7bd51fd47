"""`cloudInit: static`: no DHCP and no RA, and the guest has the pod's network all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bed.clients.networkd import Networkd
from tests.bed.clients.networkmanager import NetworkManager
from tests.bed.clients.userland import Userland, userland
from tests.bed.cloud_init import cloud_init_data, rendered
from tests.bed.guests import Started, started
from tests.bed.layouts import LAYOUTS
from tests.bed.pod import REMOTE4, REMOTE6
from tests.bed.wait import until
from tests.netns.test_cloud_init import plug

NIC = "enp1s0"
READ_BY = {
    "static": ("netplan", "networkd"),  # for NetworkManager, 22.4 makes all routes IPv4's
    "static-v1": ("networkd", "network-manager"),
}
KINDS = [(kind, renderer) for kind, renderers in READ_BY.items() for renderer in renderers]


def network_data(vm: Started) -> dict[str, Any]:
    return json.loads(vm.hook.pre_cloud_init_iso(cloud_init_data(), vm.vmi)["NetworkData"])


@contextmanager
def configured(vm: Started, renderer: str, workdir: Path) -> Iterator[Userland]:
    """Boot a guest with what cloud-init renders."""
    plug(vm.guest, NIC, vm.pod.layout.mac)
    files = rendered(renderer, json.dumps(network_data(vm)), vm.guest, workdir / "root")
    with userland(vm.guest, NIC, workdir / "client") as home:
        # Nothing else may give the guest what it lacks.
        vm.guest.sysctl(**{f"ipv6__conf__{NIC}__accept_ra": 0})
        for path, text in files.items():
            home.write(path, text, 0o600 if path.endswith("nmconnection") else 0o644)
        if renderer == "netplan":
            home.run("netplan", "generate")
            # A veth has no permanent MAC.
            home.run("sh", "-c", "sed -i s/^PermanentMAC/MAC/ /run/systemd/network/*")
        program = NetworkManager if renderer == "network-manager" else Networkd
        program(home, (4, 6)).run()
        yield home


@pytest.mark.parametrize(
    "layout",
    [
        *("flat", "aws-vpc-cni"),
        *(pytest.param(name, marks=pytest.mark.matrix) for name in ("calico", "cilium", "gke-ptp")),
    ],
)
@pytest.mark.parametrize(("kind", "renderer"), KINDS)
def test_a_guest_without_a_dhcp_client_reaches_what_the_pod_reached(
    kind: str, renderer: str, layout: str, tmp_path: Path
) -> None:
    settings = {"dsbridge.io/default": {"cloudInit": kind}}
    with (
        started(layout, "managed", settings, DSBRIDGE_CLOUD_INIT="1") as vm,
        configured(vm, renderer, tmp_path),
    ):
        until(lambda: vm.guest.reaches(REMOTE4), "a host beyond the gateway, IPv4", 20)
        until(lambda: vm.guest.reaches(REMOTE6), "a host beyond the gateway, IPv6", 20)
        (link,) = vm.guest.query("addr", "show", "dev", NIC)
        cni = LAYOUTS[layout]
        told = {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"]}
        assert {str(address) for address in (*cni.told4, *vm.pod.layout.ipv6)} & told
        assert link["mtu"] == cni.mtu
        assert "DISCOVER" not in vm.sidecar.log


def test_without_the_label_the_setting_is_said_to_do_nothing() -> None:
    settings = {"dsbridge.io/default": {"cloudInit": "static"}}
    with started("flat", "managed", settings) as vm:
        text = "cloudInit static is not written: KubeVirt does not ask"
        until(lambda: text in vm.sidecar.log, "the warning")
