"""What the CNI gave a link that was plugged in while the VM runs, as rtnetlink has told it.

KubeVirt's phase 1 takes addresses and routes away again, within a second of the CNI's last word.
The kernel queues each change for the sidecar's socket, so nothing is missed, however late it is
read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network

from binding.ipc.snapshot import Link
from binding.packet import link_names, link_table, rtnetlink
from guest.network import Address, IPInterface, Route

_PHASE_1 = 10.0
"""Seconds before a link is wired in which what it loses is taken away by KubeVirt."""
_MOST_LINKS, _MOST_ITEMS = 16, 64
_AF_INET, _AF_INET6 = 2, 10
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, index
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_PERMANENT = 0x80
_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_VIA = 1, 4, 5, 6, 18
_MAIN_TABLE, _UNICAST = 254, 1
_BY_REDIRECT, _BY_RA = 1, 9
_LINK_LOCAL = IPv6Network("fe80::/64")  # the kernel's route

_Item = IPInterface | tuple[int, Route]
"""An address, or a route with its metric."""


@dataclass(slots=True)
class _Plugged:
    """A link that the CNI plugged in, with what it has been given."""

    link: Link
    items: dict[_Item, None] = field(default_factory=dict)
    """In the order in which the CNI added them."""
    gone: dict[_Item, float] = field(default_factory=dict)
    """Taken away again, and when."""
    is_wired: bool = False


class LinkHistory:
    """Of the links of secondary networks that came after the sidecar."""

    def __init__(self) -> None:
        self._plugged: dict[int, _Plugged] = {}

    def take(self, news: link_table.News, now: float) -> None:
        """Learn from what has changed; `now` is monotonic seconds."""
        for kind, payload in news.messages:
            if kind in (rtnetlink.RTM_NEWLINK, rtnetlink.RTM_DELLINK):
                if payload[:1] != link_table.AF_BRIDGE and len(payload) >= 16:
                    self._take_link(kind, link_table.link(payload), now)
                continue
            if kind in (rtnetlink.RTM_NEWADDR, rtnetlink.RTM_DELADDR):
                found: tuple[int, _Item] | None = _address(payload)
            else:
                found = _route(payload)
            plugged = self._plugged.get(found[0]) if found else None
            if found is None or plugged is None or plugged.is_wired:
                continue
            item = found[1]
            if kind in (rtnetlink.RTM_DELADDR, rtnetlink.RTM_DELROUTE):
                plugged.gone[item] = now
            elif len(plugged.items) < _MOST_ITEMS:
                plugged.items[item] = None
                plugged.gone.pop(item, None)

    def wired(self) -> tuple[Link, ...]:
        """Return the links that were wired since, as the CNI had made them."""
        return tuple(one.link for one in self._plugged.values() if one.is_wired)

    def forget(self, links: tuple[Link, ...]) -> None:
        """Drop what has been saved."""
        for link in links:
            self._plugged.pop(link.index, None)

    def _take_link(self, kind: int, state: link_table.LinkState, now: float) -> None:
        plugged = self._plugged.get(state.index)
        if kind == rtnetlink.RTM_DELLINK:
            self._plugged.pop(state.index, None)
        elif plugged is None:
            names = {one.link.name for one in self._plugged.values()}
            is_new = link_names.is_secondary(state.name) and state.name not in names
            if is_new and not state.master and len(self._plugged) < _MOST_LINKS:
                link = Link(state.name, state.index, state.mac, state.mtu, up=True)
                self._plugged[state.index] = _Plugged(link)
        elif not plugged.is_wired:
            if state.name != plugged.link.name or state.master:
                _wire(plugged, now)
            elif state.up:  # phase 1 takes it down before it changes anything
                name, index = plugged.link.name, state.index
                plugged.link = Link(name, index, state.mac, state.mtu, up=True)


def _wire(plugged: _Plugged, now: float) -> None:
    left = [one for one in plugged.items if plugged.gone.get(one, now) > now - _PHASE_1]
    addresses = [one for one in left if not isinstance(one, tuple)]
    routes = sorted(
        (one for one in left if isinstance(one, tuple)),
        key=lambda one: (one[0], -one[1].destination.prefixlen),
    )
    plugged.link = replace(
        plugged.link,
        addresses=tuple(sorted(addresses, key=lambda one: one.version)),
        routes=tuple(route for _, route in routes),
    )
    plugged.is_wired = True


def _address(payload: bytes) -> tuple[int, IPInterface] | None:
    if len(payload) < _ADDRESS.size:
        return None
    family, length, flags, scope, index = _ADDRESS.unpack_from(payload)
    if family not in (_AF_INET, _AF_INET6) or scope or not flags & _IFA_F_PERMANENT:
        return None
    found = rtnetlink.attributes(payload[_ADDRESS.size :])
    local = _ip(found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS, b"")))
    peer = _ip(found.get(_IFA_ADDRESS, b""))
    if local is None or peer is None:
        return None
    network = ip_network((peer, length), strict=False)
    return index, ip_interface((local, length if local in network else local.max_prefixlen))


def _route(payload: bytes) -> tuple[int, tuple[int, Route]] | None:
    if len(payload) < _ROUTE.size:
        return None
    family, length, _, _, table, by, _, kind, _ = _ROUTE.unpack_from(payload)
    is_cni = by not in (_BY_REDIRECT, _BY_RA) and table == _MAIN_TABLE and kind == _UNICAST
    if family not in (_AF_INET, _AF_INET6) or not is_cni:
        return None
    found = rtnetlink.attributes(payload[_ROUTE.size :])
    anywhere = IPv4Address(0) if family == _AF_INET else IPv6Address(0)
    destination = ip_network((_ip(found.get(_RTA_DST, b"")) or anywhere, length), strict=False)
    if _RTA_OIF not in found or destination.is_multicast or destination == _LINK_LOCAL:
        return None
    via = found.get(_RTA_GATEWAY) or found.get(_RTA_VIA, b"")[2:]
    (index,) = struct.unpack_from("=I", found[_RTA_OIF])
    (metric,) = struct.unpack("=I", found.get(_RTA_PRIORITY, bytes(4)))
    return index, (metric, Route(destination, _ip(via)))


def _ip(octets: bytes) -> Address | None:
    return ip_address(octets) if len(octets) in (4, 16) else None
