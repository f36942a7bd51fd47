"""The part of a VirtualMachineInstance that dsbridge needs, checked while it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from binding.discover.json_node import Node
from binding.discover.vmi_interface import VmiInterface, interfaces, mac
from guest.network import Address

MAX_QUEUES = 256
"""KubeVirt gives no tap more queues."""

_QUANTITY = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(m?)")


class VmiError(ValueError):
    """The VMI cannot be used; the text names the JSON path and the remedy."""


@dataclass(frozen=True, slots=True)
class VmiNetwork:
    """One entry of spec.networks."""

    name: str
    kind: Literal["pod", "multus", "other"]
    default: bool = False
    """A multus network that takes the pod network's place."""

    @property
    def secondary(self) -> bool:
        """Whether the pod link has a name of its own instead of eth0."""
        return self.kind == "multus" and not self.default


@dataclass(frozen=True, slots=True)
class InterfaceStatus:
    """One entry of status.interfaces; the guest's agent reports part of it, and may lie."""

    mac: str = ""
    pod_link: str = ""
    addresses: tuple[Address, ...] = ()
    queues: int = 0
    """Of the domain's NIC, where libvirt has told; else 0."""


@dataclass(frozen=True, slots=True)
class Vmi:
    """What dsbridge reads of a VMI."""

    name: str
    namespace: str = ""
    uid: str = ""
    hostname: str = ""
    """What KubeVirt gives the guest: spec.hostname or the first label of the name."""
    subdomain: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    interfaces: tuple[VmiInterface, ...] = ()
    networks: tuple[VmiNetwork, ...] = ()
    statuses: Mapping[str, InterfaceStatus] = field(default_factory=dict)
    architecture: str = ""
    vcpus: int = 1
    multiqueue: bool = False
    transitional: bool = False
    """useVirtioTransitional."""
    sev: bool = False
    """AMD SEV, SEV-SNP or s390x secure execution: virtio needs the IOMMU."""
    migration_target: bool = False
    runtime_user: int = 107
    """uid of QEMU, thus owner of the tap."""

    def network(self, name: str) -> VmiNetwork | None:
        return next((n for n in self.networks if n.name == name), None)

    def status(self, name: str) -> InterfaceStatus:
        """Return the interface's status, an empty one when there is none."""
        return self.statuses.get(name, InterfaceStatus())

    def queues(self, interface: VmiInterface) -> int:
        """Return how many queues KubeVirt gives the interface; 0 without multiqueue.

        On a migration target as many as the source's domain has, whatever the spec says by now:
        CPUs are plugged by a migration.
        """
        if self.migration_target and (seen := self.status(interface.name).queues):
            return min(seen, MAX_QUEUES)
        if not self.multiqueue or not interface.virtio:
            return 0
        return min(self.vcpus, MAX_QUEUES)


def decode(text: bytes) -> Vmi:
    """Read a VMI as virt-launcher sends it. Raises no error but VmiError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VmiError(
            f"the VMI is not JSON ({error}); virt-launcher must send the object"
        ) from None
    root = Node(value, "", VmiError)
    meta, spec, status = root["metadata"], root["spec"], root["status"]
    name = meta["name"].text()
    if not name:
        raise meta["name"].error("is missing; send a whole VirtualMachineInstance")
    domain, migration = spec["domain"], status["migrationState"]
    architecture, security = spec["architecture"].text(), domain["launchSecurity"]
    return Vmi(
        name=name,
        namespace=meta["namespace"].text(),
        uid=meta["uid"].text(),
        hostname=spec["hostname"].text() or name.split(".")[0][:63],
        subdomain=spec["subdomain"].text(),
        annotations={key: node.text() for key, node in meta["annotations"].items()},
        interfaces=interfaces(domain["devices"]["interfaces"]),
        networks=tuple(_network(node) for node in spec["networks"].list()),
        statuses=dict(_status(node) for node in status["interfaces"].list()),
        architecture=architecture,
        vcpus=_vcpus(domain),
        multiqueue=domain["devices"]["networkInterfaceMultiqueue"].flag(),
        transitional=domain["devices"]["useVirtioTransitional"].flag(),
        sev=security["sev"].present
        or security["snp"].present
        or (security.present and architecture == "s390x"),
        migration_target=migration.present
        and not (
            migration["endTimestamp"].present
            or migration["completed"].flag()
            or migration["failed"].flag()
        ),
        runtime_user=_runtime_user(status["runtimeUser"]),
    )


def _network(node: Node) -> VmiNetwork:
    name = node["name"].text()
    if node["pod"].present:
        return VmiNetwork(name, "pod")
    if node["multus"].present:
        return VmiNetwork(name, "multus", default=node["multus"]["default"].flag())
    return VmiNetwork(name, "other")


def _status(node: Node) -> tuple[str, InterfaceStatus]:
    addresses = []
    of_domain = "domain" in re.split(r",\s*", node["infoSource"].text())
    for item in node["ipAddresses"].list():
        try:
            addresses.append(ip_address(item.text()))
        except ValueError:  # the guest's agent may report anything
            continue
    return node["name"].text(), InterfaceStatus(
        mac=mac(node["mac"].text()) or "",
        pod_link=node["podInterfaceName"].text(),
        addresses=tuple(addresses),
        queues=(node["queueCount"].number(0, 2**31 - 1) or 0) if of_domain else 0,
    )


def _vcpus(domain: Node) -> int:
    """Count as KubeVirt does: sockets x cores x threads, else the CPU limit or request."""
    cpu = domain["cpu"]
    counts = [cpu[key].number(0, 2**31 - 1) or 0 for key in ("sockets", "cores", "threads")]
    if any(counts):
        sockets, cores, threads = (count or 1 for count in counts)
        return sockets * cores * threads
    resources = domain["resources"]
    for kind in ("limits", "requests"):
        quantity = resources[kind]["cpu"].value
        if quantity is not None:
            return _ceil(str(quantity))
    return 1


def _ceil(quantity: str) -> int:
    """Round a CPU quantity such as 2, 1.5 or 500m up; 1 for any other text."""
    found = _QUANTITY.fullmatch(quantity)
    if not found:
        return 1
    whole, fraction, milli = found.groups()
    if milli:
        return max(1, -(-int(whole) // 1000))
    return max(1, int(whole) + bool(int(fraction or 0)))


def _runtime_user(node: Node) -> int:
    number = node.number(0, 2**31 - 1)
    return 107 if number is None else number
