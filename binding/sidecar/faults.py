"""What is not as it should be with the links of a guest: desired against observed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from binding.ipc.status import Fault
from binding.ipc.wiring import Wiring
from binding.packet import entries, link_details, link_table
from binding.packet.link_details import Details
from binding.packet.link_table import LinkState
from guest.network import Address, GuestNetwork

Links = Mapping[str, LinkState]
_GONE_OR_DOWN = {
    "tap": (
        "link {} is gone: the guest has no network; restart the VM",
        "link {} is down: the guest has no carrier; ip link set it up",
    ),
    "bridge": (
        "bridge {} is gone: the guest reaches nobody",
        "bridge {} is down: the guest reaches nobody",
    ),
    "nic": (
        "pod NIC {} is gone or has another name: the guest reaches nobody",
        "pod NIC {} is down: the guest reaches nobody",
    ),
}


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
) -> dict[str, Fault]:
    """Return what is wrong now, by the kind of link. `placeholder` is one that we made.

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
) -> Iterator[tuple[str, Fault]]:
    """Yield links of the bridge with a MAC to which frames must pass it, and foreign ports."""
    bridge = links.get(guest.bridge)
    if bridge is None:
        return
    for kind, name in (("tap", guest.tap), ("nic", guest.nic), ("bridge", guest.bridge)):
        if (link := links.get(name)) is not None and link.mac in whose:
            text = f"{name} has {whose[link.mac]} {link.mac}: the bridge keeps frames for it"
            yield f"{kind} MAC", Fault("pod-has-mac", text)
    ours = {guest.tap, guest.nic}
    others = (one.name for one in links.values() if one.master == bridge.index)
    if strange := ", ".join(sorted(set(others) - ours)):
        text = f"bridge {guest.bridge} has ports of others: {strange}, behind which no guard is"
        yield "bridge ports", Fault("bridge-port", text)


def _settings(guest: GuestNetwork, pod: PodLinks, placeholder: str) -> Iterator[tuple[str, Fault]]:
    """Yield what is wrong with links that are there, up, and where they should be."""
    for kind, name in (("tap", guest.tap), ("nic", guest.nic), ("bridge", guest.bridge)):
        link, details = pod.links.get(name), pod.details.get(name, Details())
        if link is None or (kind == "nic" and name == guest.tap):
            continue
        if details.closed and link.up and link.carrier:
            what = ", ".join(details.closed)
            text = f"{name}: {what}; what the guest sends or gets may not pass"
            code = "bridge-port" if details.forwards else "port-closed"
            yield f"{kind} setting", Fault(code, text)
        elif placeholder and kind != "tap" and details.makes_addresses:
            text = f"{name} makes itself a link-local address: addrgenmode is not `none`"
            yield f"{kind} setting", Fault("addrgenmode", text)
        if not guest.bridge or kind == "tap":
            continue
        if taken := pod.addresses.get(link.index, frozenset()).intersection(guest.addresses):
            which = ", ".join(sorted(map(str, taken)))
            text = f"{name} has the guest's address {which}: the pod answers in the guest's place"
            yield f"{kind} address", Fault("pod-has-address", text)


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


def _faults(guest: GuestNetwork, links: Links, placeholder: str) -> Iterator[tuple[str, Fault]]:
    for kind, name in (("tap", guest.tap), ("bridge", guest.bridge), ("nic", guest.nic)):
        if not name or (kind == "nic" and name == guest.tap):
            continue
        if (fault := _fault(guest, kind, name, links)) is not None:
            yield kind, fault
    if not placeholder:
        return
    if (link := links.get(placeholder)) is None:
        text = f"placeholder link {placeholder} is gone: CNI CHECK will fail"
        yield "placeholder", Fault("placeholder", text)
    elif link.up:
        text = f"placeholder {placeholder} is up: it may answer for the guest's addresses"
        yield "placeholder", Fault("placeholder-up", text)


def _fault(guest: GuestNetwork, kind: str, name: str, links: Links) -> Fault | None:
    link, bridge, (gone, down) = links.get(name), links.get(guest.bridge), _GONE_OR_DOWN[kind]
    is_port = kind != "bridge"
    if link is None:
        return Fault("tap" if kind == "tap" else "link-gone", gone.format(name))
    if not link.up:
        return Fault("link-down", down.format(name))
    if kind == "nic" and not link.carrier:
        text = f"pod NIC {name} has no carrier: its other end on the node is down or gone"
        return Fault("no-carrier", text)
    if is_port and bridge is not None and link.master != bridge.index:
        other = next((one.name for one in links.values() if one.index == link.master), "none")
        text = f"link {name} is no port of bridge {guest.bridge} (its bridge: {other})"
        return Fault("not-a-port", text)
    if is_port and link.mtu < guest.mtu:
        return Fault("mtu", f"link {name} has MTU {link.mtu}, the guest is told {guest.mtu}")
    return None


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
