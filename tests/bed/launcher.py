"""virt-launcher's part: finds the hook socket, asks Info, defines the domain, says Shutdown.

Timings and order are those of KubeVirt's hook manager; a sidecar that works here does
not depend on anything kinder. On a busy machine its limits last longer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from lxml import etree

from proto import (
    info_pb2,
    info_pb2_grpc,
    v1alpha1_pb2,
    v1alpha1_pb2_grpc,
    v1alpha2_pb2,
    v1alpha2_pb2_grpc,
    v1alpha3_pb2,
    v1alpha3_pb2_grpc,
)
from tests.bed.wait import Limit, crowd

_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
POLL = 0.3
DIAL = 2.0
INFO = 1.0
CALLBACK = 20.0
"""Seconds that virt-handler gives all of SyncVMI."""
_NEWEST_FIRST = (
    ("v1alpha3", v1alpha3_pb2, v1alpha3_pb2_grpc),
    ("v1alpha2", v1alpha2_pb2, v1alpha2_pb2_grpc),
    ("v1alpha1", v1alpha1_pb2, v1alpha1_pb2_grpc),
)


def _with_pci_addresses(domain: str) -> str:
    """Return a domain as libvirt would read it."""
    root = etree.fromstring(domain)
    devices = root.xpath("devices/controller | devices/interface")
    for slot, device in enumerate(devices, start=1):
        if device.find("address") is None:
            place = {"domain": "0x0000", "bus": f"0x{slot:02x}", "slot": "0x00", "function": "0x0"}
            etree.SubElement(device, "address", type="pci", **place)
    return _text(root)


def _text(root: etree._Element) -> str:
    return etree.tostring(root, encoding="unicode")


@dataclass(frozen=True, slots=True)
class Hook:
    """One collected sidecar."""

    socket: Path
    name: str
    points: tuple[str, ...]
    versions: tuple[str, ...]

    def dial(self) -> grpc.Channel:
        """Connect, as virt-launcher does anew for each call; use it in `with`."""
        return grpc.insecure_channel(f"unix:{self.socket}", _OWN_CONNECTION)

    def on_define_domain(self, domain: str, vmi: str) -> str:
        """Make one call of the newest version; grpc.RpcError is the sidecar's own error."""
        messages, services = self._newest()
        request = messages.OnDefineDomainParams(domainXML=domain.encode(), vmi=vmi.encode())
        with self.dial() as channel:
            stub = services.CallbacksStub(channel)
            answer = stub.OnDefineDomain(request, timeout=CALLBACK * crowd()).domainXML.decode()
        etree.fromstring(answer)  # virt-launcher refuses what does not parse
        return answer

    def pre_cloud_init_iso(self, data: dict[str, Any], vmi: str) -> dict[str, Any]:
        """Hand over CloudInitData and return what came back."""
        messages, services = self._newest()
        request = messages.PreCloudInitIsoParams(
            cloudInitData=json.dumps(data).encode(), vmi=vmi.encode()
        )
        with self.dial() as channel:
            stub = services.CallbacksStub(channel)
            answer = stub.PreCloudInitIso(request, timeout=CALLBACK * crowd())
        return json.loads(answer.cloudInitData)

    def define(
        self, domain: str, vmi: str, libvirt: Callable[[str], str] = _with_pci_addresses
    ) -> str:
        """Go through the passes of a first start and return the domain that libvirt would get.

        `libvirt` defines what a pass returned and gives back how it reads then.
        """
        interfaces = len(json.loads(vmi)["spec"]["domain"]["devices"]["interfaces"])
        placeholders = max(0, 4 - interfaces)
        if placeholders:
            first = self.on_define_domain(_with_placeholders(domain, placeholders), vmi)
            domain = _with_nics_of(domain, libvirt(first))
        second = self.on_define_domain(domain, vmi)
        read = libvirt(second)
        third = _with_root_ports(second if placeholders else read)
        return self.on_define_domain(third, vmi)

    def shutdown(self) -> None:
        """Say that QEMU is gone; only v1alpha3 can."""
        with self.dial() as channel:
            v1alpha3_pb2_grpc.CallbacksStub(channel).Shutdown(
                v1alpha3_pb2.ShutdownParams(), timeout=CALLBACK * crowd()
            )

    def _newest(self) -> tuple[Any, Any]:
        for version, messages, services in _NEWEST_FIRST:
            if version in self.versions:
                return messages, services
        raise RuntimeError(f"{self.name}: no version that virt-launcher speaks: {self.versions}")


def phase2(domain: str, *, mac: str, mtu: int) -> str:
    """Fill in what virt-launcher reads from the pod link for the NIC that it generated."""
    root = etree.fromstring(domain)
    for nic in root.iterfind("devices/interface"):
        nic.find("mac").set("address", mac)
        nic.find("mtu").set("size", str(mtu))
    return _text(root)


@contextmanager
def collect(hooks_dir: Path, timeout: float = 60) -> Iterator[Hook]:
    """Poll for the socket as Collect does; any error of Info is fatal at once, as it is there."""
    limit = Limit(timeout)
    while not limit.over():
        for entry in sorted(hooks_dir.iterdir()):
            if entry.is_dir():
                continue
            with grpc.insecure_channel(f"unix:{entry}", _OWN_CONNECTION) as channel:
                found = _ask(entry, channel) if _dial(channel) else None
            if found is not None:
                yield found
                return
        time.sleep(POLL)  # the interval is KubeVirt's, and part of what is tested
    raise TimeoutError(f"no hook socket answered in {hooks_dir} within {timeout:g} s")


def _dial(channel: grpc.Channel) -> bool:
    try:
        grpc.channel_ready_future(channel).result(timeout=DIAL * crowd())
    except grpc.FutureTimeoutError:
        return False
    return True


def _ask(socket: Path, channel: grpc.Channel) -> Hook:
    answer = info_pb2_grpc.InfoStub(channel).Info(info_pb2.InfoParams(), timeout=INFO * crowd())
    points = tuple(point.name for point in answer.hookPoints)
    return Hook(socket, answer.name, points, tuple(answer.versions))


def _with_placeholders(domain: str, count: int) -> str:
    root = etree.fromstring(domain)
    for index in range(count):
        nic = etree.SubElement(root.find("devices"), "interface", type="ethernet")
        etree.SubElement(nic, "target", dev=f"placeholder-{index}", managed="no")
        etree.SubElement(nic, "model", type="virtio-non-transitional")
        etree.SubElement(nic, "alias", name=f"placeholder-{index}")
    return _text(root)


def _with_nics_of(domain: str, read: str) -> str:
    """Return how libvirt reads a domain, but with the NICs that it had before."""
    root, before = etree.fromstring(read), etree.fromstring(domain)
    devices = root.find("devices")
    for nic in list(devices.iterfind("interface")):
        devices.remove(nic)
    for nic in reversed(list(before.iterfind("devices/interface"))):
        devices.insert(0, nic)
    return _text(root)


def _with_root_ports(domain: str, count: int = 4) -> str:
    root = etree.fromstring(domain)
    devices = root.find("devices")
    for _ in range(count):
        etree.SubElement(devices, "controller", type="pci", model="pcie-root-port")
    return _text(root)
