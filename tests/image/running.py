"""A VM's start beside the image in runc: virt-launcher's calls, and a guest that asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from tests.bed.cable import cable
from tests.bed.clients import Lease, client
from tests.bed.clients.running import Client
from tests.bed.handler import managed_tap
from tests.bed.launcher import Hook, collect
from tests.bed.pod import Pod, pod
from tests.image.runtime import Container, Root, started
from tests.samples import vmi_json

_DOMAIN = """<domain type="kvm"><name>default_vm1</name><devices>{}
<controller type="usb" index="0" model="none"/></devices></domain>"""
_INTERFACE = """<interface type="ethernet"><source/><target dev="tap0" managed="no"/>
<model type="virtio-non-transitional"/><mac address="{mac}"/><mtu size="{mtu}"/>
<alias name="ua-default"/><rom enabled="no"/></interface>"""


@dataclass(frozen=True, slots=True)
class Running:
    """The container in its pod, after virt-launcher has found it."""

    pod: Pod
    container: Container
    hook: Hook
    seconds: float
    """From runc's start to Info's answer."""

    def define(self, shape: str) -> str:
        """Do what KubeVirt does between Info and the start of the guest; return the domain."""
        interface = ""
        if shape == "managed":
            managed_tap(self.pod.netns)
            interface = _INTERFACE.format(mac=self.pod.layout.mac, mtu=self.pod.layout.mtu)
        domain = self.hook.define(_DOMAIN.format(interface), vmi_json())
        assert etree.fromstring(domain).find("devices/interface/target").get("dev") == "tap0"
        return domain


@contextmanager
def running(root: Root, *capabilities: str, tun: bool = False, **more: Any) -> Iterator[Running]:
    """Start the image in a pod and find its hook socket as virt-launcher does."""
    with pod("flat") as made:
        begun = time.monotonic()
        with (
            started(root, made, capabilities, tun=tun, **more) as container,
            collect(container.hooks_dir) as hook,
        ):
            yield Running(made, container, hook, time.monotonic() - begun)


@contextmanager
def asking(one: Running, workdir: Path, name: str = "dhclient") -> Iterator[Client]:
    """Plug a guest into the tap, in which this client runs."""
    layout = one.pod.layout
    with (
        cable(one.pod.netns, mac=layout.mac, mtu=layout.mtu) as guest,
        client(name, guest, workdir) as running_client,
    ):
        yield running_client


def lease_of(one: Running, workdir: Path) -> Lease:
    """Return what a guest with dhclient got."""
    with asking(one, workdir) as guest:
        return guest.lease(30, dns=())
