"""What is not as it should be with the links of a guest: desired against observed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from binding.ipc.wiring import Wiring
from binding.packet import entries, link_details, link_table
from binding.packet.link_details import Details
from binding.packet.link_table import LinkState
from guest.network import Address, GuestNetwork

Links = Mapping[str, LinkState]


@dataclass(frozen=True, slots=True)
class PodLinks:
    """The links of the pod as they are now."""

    links: dict[str, LinkState]
    details: Mapping[str, Details] = field(default_factory=dict)
    addresses: Mapping[int, frozenset[Address]] = field(default_factory=dict)
    """By the index of the link."""

    @classmethod
    def read(cls) -> PodLinks:
        """Read them. Raises OSError."""
        return cls(link_table.read(), link_details.read(), entries.addresses_of_links())


def faults(
    guest: GuestNetwork,
    pod: PodLinks,
    placeholder: str = "",
    gateways: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return what is wrong now, a sentence for each link. `placeholder` is one that we made.

    `gateways` are the MACs of the guest's gateways, by their addresses.
    """
    whose = {guest.mac: "the guest's own MAC"}
    whose |= {mac: f"the MAC of gateway {one}" for one, mac in (gateways or {}).items()}
    return dict(
        (
            *_faults(guest, pod.links, placeholder),
            *_settings(guest, pod, placeholder),
            *_taken_macs(guest, pod.links, whose),
        )
    )


def _taken_macs(
    guest: GuestNetwork, links: Links, whose: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield links of the bridge with a MAC to which frames must pass it, and foreign ports."""
    bridge = links.get(guest.bridge)
    if bridge is None:
        return
    for kind, name in (("tap", guest.tap), ("nic", guest.nic), ("bridge", guest.bridge)):
        if (link := links.get(name)) is not None and link.mac in whose:
            text = f"{name} has {whose[link.mac]} {link.mac}: the bridge keeps frames for it"
            yield f"{kind} MAC", text
    ours = {guest.tap, guest.nic}
    others = (one.name for one in links.values() if one.master == bridge.index)
    if strange := ", ".join(sorted(set(others) - ours)):
        text = f"bridge {guest.bridge} has ports of others: {strange}, behind which no guard is"
        yield "bridge ports", text


def _settings(guest: GuestNetwork, pod: PodLinks, placeholder: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with links that are there, up, and where they should be."""
    for kind, name in (("tap", guest.tap), ("nic", guest.nic), ("bridge", guest.bridge)):
        link, details = pod.links.get(name), pod.details.get(name, Details())
        if link is None or (kind == "nic" and name == guest.tap):
            continue
        if details.closed and link.up and link.carrier:
            what = ", ".join(details.closed)
            yield f"{kind} setting", f"{name}: {what}; what the guest sends or gets may not pass"
        elif placeholder and kind != "tap" and details.makes_addresses:
            text = f"{name} makes itself a link-local address: addrgenmode is not `none`"
            yield f"{kind} setting", text
        if not guest.bridge or kind == "tap":
            continue
        if taken := pod.addresses.get(link.index, frozenset()).intersection(guest.addresses):
            which = ", ".join(sorted(map(str, taken)))
            text = f"{name} has the guest's address {which}: the pod answers in the guest's place"
            yield f"{kind} address", text


def to_mend(wirings: tuple[Wiring, ...], links: Links, nics: Mapping[str, int]) -> bool:
    """Return whether a link that we made or moved is not as we left it.

    `nics` are the indexes of the pod NICs by their name as bridge ports: one that is gone
    altogether cannot be made again.
    """
    return any(
        _is_broken(one, links)
        for one in wirings
        if any(link.index == nics.get(one.names.nic) for link in links.values())
    )


def _faults(guest: GuestNetwork, links: Links, placeholder: str) -> Iterator[tuple[str, str]]:
    tap, bridge, nic = (links.get(name) for name in (guest.tap, guest.bridge, guest.nic))
    if tap is None:
        yield "tap", f"link {guest.tap} is gone: the guest has no network; restart the VM"
    elif not tap.up:
        yield "tap", f"link {guest.tap} is down: the guest has no carrier; ip link set it up"
    elif bridge is not None and tap.master != bridge.index:
        yield "tap", _not_a_port(tap, guest.bridge, links)
    elif tap.mtu < guest.mtu:
        yield "tap", _mtu(tap, guest)
    if guest.bridge:
        if bridge is None:
            yield "bridge", f"bridge {guest.bridge} is gone: the guest reaches nobody"
        elif not bridge.up:
            yield "bridge", f"bridge {guest.bridge} is down: the guest reaches nobody"
    if guest.nic and guest.nic != guest.tap:
        yield from _nic_faults(guest, nic, bridge, links)
    if placeholder:
        yield from _placeholder_faults(placeholder, links.get(placeholder))


def _placeholder_faults(name: str, link: LinkState | None) -> Iterator[tuple[str, str]]:
    if link is None:
        yield "placeholder", f"placeholder link {name} is gone: CNI CHECK will fail"
    elif link.up:
        yield "placeholder", f"placeholder {name} is up: it may answer for the guest's addresses"


def _nic_faults(
    guest: GuestNetwork, nic: LinkState | None, bridge: LinkState | None, links: Links
) -> Iterator[tuple[str, str]]:
    if nic is None:
        text = f"pod NIC {guest.nic} is gone or has another name: the guest reaches nobody"
        yield "nic", text
    elif not nic.up:
        yield "nic", f"pod NIC {guest.nic} is down: the guest reaches nobody"
    elif not nic.carrier:
        text = f"pod NIC {guest.nic} has no carrier: its other end on the node is down or gone"
        yield "nic", text
    elif bridge is not None and nic.master != bridge.index:
        yield "nic", _not_a_port(nic, guest.bridge, links)
    elif nic.mtu < guest.mtu:
        yield "nic", _mtu(nic, guest)


def _not_a_port(link: LinkState, bridge: str, links: Links) -> str:
    other = next((one.name for one in links.values() if one.index == link.master), "none")
    return f"link {link.name} is no port of bridge {bridge} (its bridge: {other})"


def _mtu(link: LinkState, guest: GuestNetwork) -> str:
    return f"link {link.name} has MTU {link.mtu}, the guest is told {guest.mtu}"


def _is_broken(wiring: Wiring, links: Links) -> bool:
    names = wiring.names
    wanted = (names.pod, names.bridge, names.tap, names.nic)
    if any(name not in links for name in wanted):
        return True
    bridge = links[names.bridge]
    ports = links[names.tap], links[names.nic]
    return (
        any(port.master != bridge.index for port in ports)
        or any(not link.up for link in (bridge, *ports))
        or links[names.tap].mtu != wiring.mtu
    )
