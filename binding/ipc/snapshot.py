"""The pod as its CNI made it, read before KubeVirt or plumb rewires it. Values only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from guest.network import Address, Route


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the pod's network namespace."""

    name: str
    index: int
    mac: str
    mtu: int
    kind: str = ""
    """IFLA_INFO_KIND: veth, tun, macvtap, bridge …; empty for hardware."""
    up: bool = False
    bridge: str = ""
    """Name of the bridge that this link is a port of."""
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    """Global scope only, in the order in which the CNI added them; no link-local IPv6."""
    routes: tuple[Route, ...] = ()
    """Main table, lowest metric first, connected subnets included."""
    neighbors: tuple[tuple[Address, str], ...] = ()
    """Resolved neighbours and their MAC, permanent ones included."""
    permanent: tuple[tuple[Address, str], ...] = ()
    """Neighbours of a permanent entry: the CNI knows that nobody need answer for them."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All links of one network namespace and the pod's resolver."""

    netns: int
    """Inode of the namespace; a saved snapshot with another inode is of another pod."""
    links: tuple[Link, ...] = ()
    nameservers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()

    def link(self, name: str) -> Link | None:
        """Return the link of that name."""
        return next((link for link in self.links if link.name == name), None)


def merged(fresh: Snapshot, saved: Snapshot | None) -> Snapshot:
    """Return the pod as the CNI made it, when part of it has been rewired since `saved`.

    A link with the same name and index in both is still the CNI's and is taken from `fresh`. A
    name that another link has now (KubeVirt's placeholder), or none, is taken from `saved`.
    """
    if saved is None or saved.netns != fresh.netns:
        return fresh
    links = {link.name: link for link in fresh.links}
    for link in saved.links:
        now = links.get(link.name)
        if now is None or now.index != link.index:
            links[link.name] = link
    return Snapshot(fresh.netns, tuple(links.values()), fresh.nameservers, fresh.search)
