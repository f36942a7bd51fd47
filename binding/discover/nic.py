"""One NIC between pod and domain: its shape, its links, its MAC and its MTU."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from binding.discover import vmi_interface
from binding.discover.vmi import Vmi, VmiError, VmiNetwork
from binding.discover.vmi_interface import VmiInterface
from binding.ipc.snapshot import Link, Snapshot
from binding.packet import link_names
from binding.packet.link_names import LinkNames
from guest.network import Shape

# Kinds of pod link that QEMU can open itself: a domain may name such a link as its tap.
_TAP_KINDS = ("tun", "macvtap", "ipvtap")


class MissingLink(ValueError):  # noqa: N818  # the condition is the name
    """The pod has no link for a network; the text names the missing link and those of the pod."""


class Layer3Link(MissingLink):
    """The pod's link carries IP packets without Ethernet, so that no bridge can take it."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """The <interface> that a domain has for a network."""

    target: str = ""
    mac: str = ""
    mtu: int | None = None
    """Bytes; None when the domain does not say."""
    queues: int = 0
    """0 when the domain does not say."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC of the VM and the links that carry it."""

    interface: VmiInterface
    names: LinkNames
    link: Link
    """The pod link as the CNI made it."""
    shape: Shape
    attachment: Attachment
    tap: str
    bridge: str
    port: str
    """The pod's own link, by its name as a port of the bridge."""
    rewired: bool
    """The snapshot of the link was taken after KubeVirt had removed its routes."""
    secondary: bool
    """Not the pod's network but one that multus attached."""

    @property
    def network(self) -> str:
        """Name of interface and network."""
        return self.interface.name

    def mac(self, vmi: Vmi, warnings: list[str]) -> str:
        """Return the MAC that the guest has; appends a warning where its sources differ."""
        before = vmi.status(self.network).mac
        if vmi.migration_target and before:
            return before
        domain = self.attachment.mac if self.shape != "own" else ""
        wanted = self.interface.mac
        if domain and wanted and domain != wanted:
            warnings.append(f"the domain has MAC {domain} instead of the VMI's {wanted}")
        found = domain or wanted or (self.link.mac.lower() if is_ethernet(self.link.mac) else "")
        if not found:
            raise VmiError(f"interface {self.network}: no MAC is known; set its macAddress")
        return found

    def mtu(self, wanted: int | None, warnings: list[str]) -> int:
        """Return the MTU that the guest is told; appends a warning where it is not as wanted."""
        known = {f"link {self.link.name}": self.link.mtu}
        if self.attachment.mtu and self.shape != "own":
            known["the domain"] = self.attachment.mtu
        least = min(known.values())
        # A guest that may send less than the path has loses nothing.
        if self.link.mtu < max(known.values()) and wanted != known.get("the domain"):
            seen = ", ".join(f"{where} has {mtu}" for where, mtu in known.items())
            warnings.append(f"MTU differs, {seen}; the guest is told {least} at most")
        if wanted and wanted > least:
            warnings.append(f"MTU {wanted} of the override is more than the path has; told {least}")
        return min(wanted or least, least)


def nic_of(  # noqa: PLR0913  # all that decides the shape
    snapshot: Snapshot,
    vmi: Vmi,
    interface: VmiInterface,
    attachment: Attachment | None,
    *,
    takeover: bool,
    wired: Collection[str],
) -> Nic:
    """Find a NIC's links, and whether KubeVirt or plumb wires them.

    Raises MissingLink, its subclass Layer3Link, and VmiError.
    """
    network = vmi.network(interface.name)
    if network is None:
        raise VmiError(
            f"spec.networks: no entry is named {interface.name!r}; add the interface's network"
        )
    if network.kind == "other":
        raise VmiError(
            f"network {network.name}: is neither `pod` nor `multus`, and has no link that could be "
            "bridged; give the interface another network or another binding"
        )
    on_pod = pod_link(snapshot, vmi, network)
    named = link_names.names_of(on_pod, primary=not network.secondary)
    rewired_port = snapshot.link(named.nic)
    link = snapshot.link(on_pod) or rewired_port
    if link is None:
        there = ", ".join(one.name for one in snapshot.links) or "none"
        raise MissingLink(
            f"network {network.name}: the pod has no link {on_pod}, only {there}; "
            "check the CNI's or the NetworkAttachmentDefinition's result for this pod"
        )
    attachment = attachment or Attachment()
    shape = _shape(attachment, link, takeover=takeover, wired=wired)
    tap = named.tap if shape == "own" else attachment.target or named.tap
    bridge, port = named.bridge, named.nic
    if shape != "own":
        bridge, port = _carriers(snapshot, named, tap)
    if port == named.nic or tap == named.pod:
        _check_layer2(network, link)
    return Nic(
        interface=interface,
        names=named,
        link=link,
        shape=shape,
        attachment=attachment,
        tap=tap,
        bridge=bridge,
        port=port,
        rewired=rewired_port is not None and not link.routes and bool(link.addresses),
        secondary=network.secondary,
    )


def is_ethernet(mac: str) -> bool:
    """Say whether a link-layer address is a MAC: links of layer 3 have none, or all zeros."""
    return vmi_interface.mac(mac) not in (None, "00:00:00:00:00:00")


def _check_layer2(network: VmiNetwork, link: Link) -> None:
    if is_ethernet(link.mac):
        return
    kind = link.kind or "unknown kind"
    remedy = "have the CNI attach the pod by a veth"
    if kind == "netkit":
        remedy = "set Cilium's bpf.datapathMode to veth or netkit-l2, not netkit"
    raise Layer3Link(
        f"network {network.name}: the pod's link {link.name} ({kind}) is a layer-3 device: it has "
        f"no MAC and cannot be bridged to a VM; {remedy}"
    )


def pod_link(snapshot: Snapshot, vmi: Vmi, network: VmiNetwork) -> str:
    """Name the pod link as KubeVirt does, with the legacy names where the pod has those."""
    reported = vmi.status(network.name).pod_link
    if not network.secondary:
        return reported or link_names.PRIMARY
    secondary = [one.name for one in vmi.networks if one.secondary]
    ordinal = f"net{secondary.index(network.name) + 1}"
    candidates = (reported, link_names.hashed(network.name), ordinal)
    for name in candidates:
        short = link_names.names_of(name, primary=False)
        if name and (snapshot.link(name) or snapshot.link(short.nic)):
            return name
    return candidates[1]


def _shape(attachment: Attachment, link: Link, *, takeover: bool, wired: Collection[str]) -> Shape:
    if takeover:
        return "takeover"
    if not attachment.target or attachment.target in wired:
        return "own"
    # Registration `tap` without a tap: KubeVirt names the pod link, which QEMU cannot open.
    if attachment.target == link.name and link.kind not in _TAP_KINDS:
        return "own"
    return "managed"


def _carriers(snapshot: Snapshot, named: LinkNames, tap: str) -> tuple[str, str]:
    """Return bridge and port behind a tap; empty where the CNI's tap is in no bridge."""
    if tap == named.pod:
        return "", ""
    made_by_cni = snapshot.link(tap)
    if made_by_cni is None:
        return named.bridge, named.nic
    bridge = made_by_cni.bridge
    if not bridge:
        return "", ""
    ports = (one.name for one in snapshot.links if one.bridge == bridge and one.name != tap)
    return bridge, next(ports, "")
