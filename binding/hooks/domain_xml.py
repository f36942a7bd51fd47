"""libvirt's domain XML: reads our NICs from it, and puts them into it.

The only user of lxml. Everything that is not ours survives: namespaces, comments,
elements that we do not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from binding.discover import vmi_interface
from binding.discover.nic import Attachment
from binding.discover.vmi import Vmi
from binding.discover.vmi_interface import VmiInterface
from binding.hooks.lean_lxml import etree
from binding.packet.link_names import ALIAS
from guest.network import GuestNetwork

# The order in which KubeVirt writes the children of <interface>.
_ORDER = (
    "address", "source", "target", "model", "mac", "mtu", "bandwidth", "boot", "link",
    "filterref", "alias", "driver", "rom", "acpi", "backend", "portForward",
)  # fmt: skip
# In the shape `takeover` KubeVirt alone writes the domain.
_WIRED_BY_KUBEVIRT = ("managed", "plugin")
_NUMBER = re.compile(r"[0-9]{1,9}")


class DomainError(ValueError):
    """The domain XML cannot be used; the text names the place."""


def attachments(xml: bytes) -> dict[str, Attachment]:
    """Return the domain's interfaces by network; those without our alias prefix are left out.

    Raises DomainError.
    """
    found: dict[str, Attachment] = {}
    for element in _root(xml).iterfind("devices/interface"):
        network = _alias(element).removeprefix(ALIAS)
        if not _alias(element).startswith(ALIAS) or network in found:
            continue
        found[network] = Attachment(
            target=_get(element, "target", "dev"),
            mac=vmi_interface.mac(_get(element, "mac", "address")) or "",
            mtu=_number(element, "mtu", "size"),
            queues=_number(element, "driver", "queues") or 0,
        )
    return found


def edit(xml: bytes, vmi: Vmi, guests: Iterable[GuestNetwork]) -> bytes:
    """Return the domain with an <interface> for every guest of shape `own`.

    Where virt-handler wired the NIC, its <mtu> is lowered to the guest's: virtio drivers and
    Windows know the MTU from there alone. Without anything to change these are the same bytes.
    Editing twice is editing once. Raises DomainError.
    """
    guests = tuple(guests)
    own = {guest.network: guest for guest in guests if guest.shape == "own"}
    wired = {ALIAS + one.network: one.mtu for one in guests if one.shape in _WIRED_BY_KUBEVIRT}
    root = _root(xml)
    lowered = _lower_mtu(root, wired)
    if not own and not lowered:
        return xml
    devices = root.find("devices")
    if devices is None:
        raise DomainError("domain XML: <domain> has no <devices>; virt-launcher must send it")
    order = [ALIAS + interface.name for interface in vmi.interfaces]
    for interface in vmi.interfaces:
        if guest := own.get(interface.name):
            element = _place(devices, ALIAS + interface.name, order)
            _complete(element, dict(_wanted(vmi, interface, guest)))
            _indent(element, devices)
    declared = xml.lstrip().startswith(b"<?xml")
    return etree.tostring(root.getroottree(), encoding="utf-8", xml_declaration=declared)


def _lower_mtu(root: etree._Element, wanted: Mapping[str, int]) -> bool:
    lowered = False
    for element in root.iterfind("devices/interface"):
        mtu = element.find("mtu")
        most = wanted.get(_alias(element))
        size = _number(element, "mtu", "size")
        if mtu is not None and most is not None and size is not None and size > most:
            mtu.set("size", str(most))
            lowered = True
    return lowered


def _root(xml: bytes) -> etree._Element:
    # Neither a DTD nor the network is ever asked, entities stay unexpanded, and without
    # huge_tree libxml2 refuses what is deeper than 256 elements.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(xml, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        what = str(error.msg)[:200]  # libxml2 quotes a namespace, however long
        raise DomainError(
            f"domain XML: line {line}, column {column}: {what}; send well-formed XML"
        ) from None
    if root.getroottree().docinfo.doctype:
        raise DomainError("domain XML: a DTD is not accepted; leave <!DOCTYPE ...> out")
    if root.tag != "domain":
        raise DomainError(f"domain XML: the root is <{str(root.tag)[:60]}>; send <domain>")
    return root


def _wanted(
    vmi: Vmi, interface: VmiInterface, guest: GuestNetwork
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield children and attributes as KubeVirt's own binding would have them."""
    if interface.pci_address:
        domain, bus, rest = interface.pci_address.split(":")
        slot, function = rest.split(".")
        fields = {"domain": domain, "bus": bus, "slot": slot, "function": function}
        yield "address", {"type": "pci", **{key: f"0x{value}" for key, value in fields.items()}}
    yield "source", {}
    # managed="no": libvirt would delete a tap that it believes to be its own.
    yield "target", {"dev": guest.tap, "managed": "no"}
    yield "model", {"type": _model(vmi, interface)}
    yield "mac", {"address": guest.mac}
    yield "mtu", {"size": str(guest.mtu)}
    if interface.boot_order:
        yield "boot", {"order": str(interface.boot_order)}
    if interface.state == "down":
        yield "link", {"state": "down"}
    yield "alias", {"name": ALIAS + interface.name}
    if driver := _driver(vmi, interface):
        yield "driver", {"name": "vhost", **driver}
    # Firmware of a NIC that is not booted from costs boot time; s390x has none.
    if vmi.architecture != "s390x" and (interface.boot_order is None or vmi.sev):
        yield "rom", {"enabled": "no"}
    if interface.acpi_index:
        yield "acpi", {"index": str(interface.acpi_index)}


def _model(vmi: Vmi, interface: VmiInterface) -> str:
    if not interface.virtio:
        return interface.model
    if vmi.architecture == "s390x":
        return "virtio"
    return "virtio-transitional" if vmi.transitional else "virtio-non-transitional"


def _driver(vmi: Vmi, interface: VmiInterface) -> dict[str, str]:
    found = {}
    if queues := vmi.queues(interface):
        found["queues"] = str(queues)
    if vmi.sev and interface.virtio:
        found["iommu"] = "on"
    return found


def _place(devices: etree._Element, alias: str, order: list[str]) -> etree._Element:
    """Return the interface of that alias, a new one in the VMI's order when there is none.

    The guest numbers its NICs in this order. KubeVirt's placeholders come last.
    """
    present = list(devices.iterfind("interface"))
    same = [element for element in present if _alias(element) == alias]
    for surplus in same[1:]:
        devices.remove(surplus)
    if same:
        return same[0]
    new = etree.Element("interface")
    before = [e for e in present if _alias(e) in order[: order.index(alias)]]
    if before:
        before[-1].addnext(new)
        # lxml leaves the whitespace behind a node with the new one.
        return new
    devices.insert(devices.index(present[0]) if present else 0, new)
    return new


def _complete(element: etree._Element, wanted: dict[str, dict[str, str]]) -> None:
    element.set("type", "ethernet")
    for tag, attributes in wanted.items():
        child = element.find(tag)
        if child is None:
            child = etree.SubElement(element, tag)
        elif tag == "address":
            continue  # libvirt's own from an earlier pass: the guest has seen it
        for name, value in attributes.items():
            child.set(name, value)
    element[:] = sorted(element, key=_rank)


def _rank(child: etree._Element) -> int:
    return _ORDER.index(child.tag) if child.tag in _ORDER else len(_ORDER)


def _indent(element: etree._Element, devices: etree._Element) -> None:
    """Break lines as the document does, so that the edited XML reads well in a log."""
    outer = devices.text or ""
    if not outer.startswith("\n") or outer.strip():
        return
    inner = outer + ("\t" if "\t" in outer else "  ")
    element.text = inner
    for child in element:
        child.tail = inner
    element[-1].tail = outer
    element.tail = outer


def _alias(element: etree._Element) -> str:
    return _get(element, "alias", "name")


def _get(element: etree._Element, tag: str, attribute: str) -> str:
    child = element.find(tag)
    return "" if child is None else child.get(attribute, "")


def _number(element: etree._Element, tag: str, attribute: str) -> int | None:
    text = _get(element, tag, attribute)
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise DomainError(
            f"domain XML: line {element.sourceline}: <{tag} {attribute}={text[:60]!r}> of "
            f"{_alias(element)} is no number; send one"
        )
    return int(text)
