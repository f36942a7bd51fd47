"""The pod as its CNI made it, read before anybody rewires it. Values only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from binding.guest import Address, Route


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
    """Global scope only, in the kernel's order; link-local IPv6 is left out."""
    routes: tuple[Route, ...] = ()
    """Main table, lowest metric first, connected subnets included."""
    neighbors: tuple[tuple[Address, str], ...] = ()
    """Resolved neighbours and their MAC."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All links of one network namespace and the pod's resolver."""

    netns: int
    """Inode of the namespace: a snapshot of another one is worthless."""
    links: tuple[Link, ...] = ()
    nameservers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()

    def link(self, name: str) -> Link | None:
        """Return the link of that name."""
        return next((link for link in self.links if link.name == name), None)
