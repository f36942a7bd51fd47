"""The interfaces in the spec of a VMI, as its user wrote them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal

from binding.discover.json_node import Node
from binding.discover.reserved import is_unusable

InterfaceState = Literal["up", "down", "absent"]

_MAC = re.compile(r"[0-9a-f]{2}(?P<sep>[:-])[0-9a-f]{2}(?:(?P=sep)[0-9a-f]{2}){4}")
_MAC_DOTTED = re.compile(r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PCI = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]")


@dataclass(frozen=True, slots=True)
class DhcpOptions:
    """`dhcpOptions` of an interface."""

    boot_file: str = ""
    tftp_server: str = ""
    ntp: tuple[IPv4Address, ...] = ()
    private: tuple[tuple[int, bytes], ...] = ()
    left_out: tuple[str, ...] = ()
    """Values that KubeVirt admits and no guest can use, each with its reason and its remedy."""


@dataclass(frozen=True, slots=True)
class VmiInterface:
    """One entry of spec.domain.devices.interfaces."""

    name: str
    binding: str = ""
    """Name of the binding plugin; empty for KubeVirt's own bindings."""
    core_bridge: bool = False
    mac: str = ""
    """Lower-case with colons; empty where the guest has the MAC of the pod's link."""
    model: str = ""
    boot_order: int | None = None
    pci_address: str = ""
    acpi_index: int | None = None
    state: InterfaceState = "up"
    dhcp: DhcpOptions = field(default_factory=DhcpOptions)

    @property
    def virtio(self) -> bool:
        """Whether the model is virtio, which is also the default."""
        return self.model in ("", "virtio")


def interfaces(nodes: Node) -> tuple[VmiInterface, ...]:
    """Read spec.domain.devices.interfaces. Raises the error that the node carries."""
    found: dict[str, VmiInterface] = {}
    for node in nodes.list():
        interface = _interface(node)
        if interface.name in found:
            raise node["name"].error("names two interfaces; give each its own name")
        found[interface.name] = interface
    return tuple(found.values())


def _interface(node: Node) -> VmiInterface:
    return VmiInterface(
        name=node["name"].matching(_NAME, "write letters, digits, - and _", need=True),
        binding=node["binding"]["name"].text(),
        core_bridge=node["bridge"].present,
        mac=_spec_mac(node["macAddress"]),
        model=node["model"].matching(_NAME, "write a model such as virtio or e1000e"),
        boot_order=node["bootOrder"].number(1, 2**31 - 1),
        pci_address=node["pciAddress"].matching(_PCI, "write it as 0000:05:00.0"),
        # KubeVirt reads acpiIndex 0 as "not set".
        acpi_index=node["acpiIndex"].number(0, 2**31 - 1) or None,
        state=_state(node["state"]),
        dhcp=_dhcp(node["dhcpOptions"]),
    )


def _spec_mac(node: Node) -> str:
    text = node.text()
    if not text:
        return ""
    return mac(text) or node.fail("is not a MAC address; write six bytes such as 02:00:00:00:00:01")


def _state(node: Node) -> InterfaceState:
    match node.text():
        case "" | "up":
            return "up"
        case "down":
            return "down"
        case "absent":
            return "absent"
        case _:
            raise node.error("is no link state; write up, down or absent")


def _dhcp(node: Node) -> DhcpOptions:
    private: dict[int, bytes] = {}
    for option in node["privateOptions"].list():
        number = option["option"].number(224, 254)
        if number is None or number in private:
            raise option["option"].error("is missing or given twice; use each of 224-254 once")
        private[number] = option["value"].text().encode()
    left_out: list[str] = []
    boot_file = _usable(node["bootFileName"], left_out, _no_text)
    tftp_server = _usable(node["tftpServerName"], left_out, _no_text, _no_host)
    servers = [_ipv4(server) for server in node["ntpServers"].list()]
    return DhcpOptions(
        boot_file=boot_file,
        tftp_server=tftp_server,
        ntp=tuple(IPv4Address(one.text()) for one in servers if _usable(one, left_out, _no_host)),
        private=tuple(private.items()),
        left_out=tuple(left_out),
    )


def _ipv4(node: Node) -> Node:
    """Return the node. Raises its error where KubeVirt would not have admitted the value."""
    try:
        IPv4Address(node.text())
    except ValueError:
        raise node.error("is no IPv4 address; write it as 192.0.2.1") from None
    return node


def _usable(node: Node, left_out: list[str], *reasons: Callable[[str], str]) -> str:
    """Return a text; an empty one where a function of `reasons` says why no guest can use it.

    KubeVirt's own bridge binding takes such a value, so a VM may run with it: the value is left out
    and named, where an error would keep that VM from its next start or its migration.
    """
    text = node.text()
    for reason in reasons:
        if why := reason(text):
            left_out.append(f"the guest is not told {node.error(why)}")
            return ""
    return text


def _no_text(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        return "has characters that DHCP cannot carry; write printable ASCII"
    return "is too long; write 255 characters at most" if len(text) > 255 else ""


def _no_host(text: str) -> str:
    try:
        address = IPv4Address(text)
    except ValueError:  # a name
        return ""
    return "is an address that no host can have; write the server's" if is_unusable(address) else ""


def mac(text: str) -> str | None:
    """Return a MAC of six bytes in any of Go's net.ParseMAC forms as lower-case with colons."""
    text = text.lower()
    if not (_MAC.fullmatch(text) or _MAC_DOTTED.fullmatch(text)):
        return None
    return bytes.fromhex(re.sub("[:.-]", "", text)).hex(":")
