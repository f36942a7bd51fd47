"""The pod as its CNI made it, read before KubeVirt or plumb rewires it. Values only, no I/O."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from binding.packet import link_names
from guest.network import Address, IPInterface, Route


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
    addresses: tuple[IPInterface, ...] = ()
    """Global scope only, in the order in which the CNI added them; no link-local IPv6."""
    routes: tuple[Route, ...] = ()
    """Main table, lowest metric first, connected subnets included."""
    neighbors: tuple[tuple[Address, str], ...] = ()
    """Resolved neighbours and their MAC, permanent ones included."""
    permanent: tuple[tuple[Address, str], ...] = ()
    """Neighbours with a permanent entry: no host need answer the guest's ARP or NS for them."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All links of one network namespace and the pod's resolver."""

    netns: int
    """Inode of the namespace; a saved snapshot with another inode is of another pod."""
    links: tuple[Link, ...] = ()
    nameservers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()
    records: tuple[tuple[int, bytes], ...] = field(default=(), compare=False)
    """Addresses, routes and permanent neighbours of the CNI in the kernel's own messages, by their
    types. Only plumb reads them, to undo to the last flag what a killed plumb has left. Not
    compared: the kernel's times are among them."""

    def link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.name == name), None)


def merged(fresh: Snapshot, saved: Snapshot | None) -> Snapshot:
    """Return the pod as the CNI made it, when part of it has been rewired since `saved`.

    A link with the same name and index in both is still the CNI's and is taken from `fresh`. A
    name that another link has now (the placeholder), or none, is taken from `saved`, with what
    the CNI has changed since: addresses of the placeholder; addresses, routes and MTU of the link
    that has the saved one's index, whatever its name is now.
    """
    if saved is None or saved.netns != fresh.netns:
        return fresh
    before = {link.name for link in saved.links}
    # What wiring has made since is not the CNI's.
    links = {
        link.name: link
        for link in fresh.links
        if link.name in before
        or not link_names.is_of_wiring(link.name)
        or (link_names.is_secondary(pod := link_names.pod_of(link.name)) and pod not in before)
    }
    by_index = {link.index: link for link in fresh.links}
    there = {link.name for link in fresh.links}
    for link in saved.links:
        now = links.get(link.name)
        if link.index not in by_index and _is_unplugged(link.name, there):
            continue
        if now is None or now.index != link.index:
            links[link.name] = _changed(link, now, by_index.get(link.index))
    return replace(fresh, links=tuple(links.values()), records=saved.records)


def _is_unplugged(name: str, there: Collection[str]) -> bool:
    """Say whether a link that is gone has left no bridge behind: its network was unplugged.

    Another link of that name is then no placeholder but the network plugged in again.
    """
    pod = name if link_names.is_secondary(name) else link_names.pod_of(name)
    wired = link_names.names_of(pod, primary=False)
    return link_names.is_secondary(pod) and wired.bridge not in there


def with_plugged(saved: Snapshot | None, plugged: Collection[Link]) -> Snapshot | None:
    """Return what was saved with the links that were plugged in, and wired, since."""
    if saved is None or not plugged:
        return saved
    links = {link.name: link for link in saved.links}
    for link in plugged:
        before = links.get(link.name)
        if before is None or before.index != link.index:
            links[link.name] = link
        else:  # it was read while the CNI had not finished, or after that
            links[link.name] = replace(
                before,
                mac=link.mac,
                mtu=link.mtu,
                addresses=link.addresses or before.addresses,
                routes=link.routes or before.routes,
            )
    return replace(saved, links=tuple(links.values()))


def _changed(saved: Link, placeholder: Link | None, nic: Link | None) -> Link:
    """Return a rewired link with the CNI's later changes: at the placeholder, and at the NIC."""
    addresses = saved.addresses
    for version in (4, 6):
        kept = [one for one in addresses if one.version == version]
        now = (
            [one for one in placeholder.addresses if one.version == version] if placeholder else []
        )
        if now:  # a placeholder without any address of a family says nothing of it
            ips = {one.ip for one in kept}
            there = {one.ip for one in now}
            kept = [one for one in kept if one.ip in there] + [o for o in now if o.ip not in ips]
        addresses = (*(one for one in addresses if one.version != version), *kept)
    if nic is None:
        return replace(saved, addresses=addresses)
    known = {one.ip for one in addresses}
    return replace(
        saved,
        mtu=nic.mtu,
        addresses=(*addresses, *(one for one in nic.addresses if one.ip not in known)),
        routes=(*saved.routes, *(one for one in nic.routes if one not in saved.routes)),
    )
