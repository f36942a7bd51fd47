"""What the CNI gave a link that was plugged in while the VM runs, as rtnetlink has told it.

KubeVirt's phase 1 takes addresses and routes away again, within a second of the CNI's last word.
The kernel queues each change for the sidecar's socket, so nothing is missed, however late it is
read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from binding.ipc.snapshot import Link
from binding.packet import entries, link_names, link_table, raw_netlink
from guest.network import IPInterface, Route

_PHASE_1 = 10.0
"""Seconds before a link is wired; what it loses in them KubeVirt has taken away, not the CNI."""
_MOST_LINKS, _MOST_ITEMS = 16, 64

_Item = IPInterface | tuple[int, Route]
"""An address, or a route with its metric."""


@dataclass(slots=True)
class _Plugged:
    """A link that the CNI plugged in, with the addresses and routes that it has been given."""

    link: Link
    items: dict[_Item, None] = field(default_factory=dict)
    """In the order in which the CNI added them."""
    gone: dict[_Item, float] = field(default_factory=dict)
    """Taken away again, and when."""
    is_wired: bool = False


class LinkHistory:
    """What is known of the links of secondary networks that came after the sidecar."""

    def __init__(self) -> None:
        self._plugged: dict[int, _Plugged] = {}

    def take(self, news: link_table.News, now: float) -> None:
        """Learn from what has changed; `now` is monotonic seconds."""
        for kind, payload in news.messages:
            if kind in (raw_netlink.RTM_NEWLINK, raw_netlink.RTM_DELLINK):
                if payload[:1] != link_table.AF_BRIDGE and len(payload) >= 16:
                    self._take_link(kind, link_table.link(payload), now)
                continue
            if kind in (raw_netlink.RTM_NEWADDR, raw_netlink.RTM_DELADDR):
                found: tuple[int, _Item] | None = _address(payload)
            else:
                found = _route(payload)
            plugged = self._plugged.get(found[0]) if found else None
            if found is None or plugged is None or plugged.is_wired:
                continue
            item = found[1]
            if kind in (raw_netlink.RTM_DELADDR, raw_netlink.RTM_DELROUTE):
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
        if kind == raw_netlink.RTM_DELLINK:
            self._plugged.pop(state.index, None)
        elif plugged is None:
            names = {one.link.name for one in self._plugged.values()}
            is_new = link_names.is_secondary(state.name) and state.name not in names
            if is_new and not state.master and len(self._plugged) < _MOST_LINKS:
                link = Link(state.name, state.index, state.mac, state.mtu, up=True)
                self._plugged[state.index] = _Plugged(link)
        elif not plugged.is_wired:
            if state.name != plugged.link.name or state.master:
                _note_wired(plugged, now)
            elif state.up:  # phase 1 takes it down before it changes anything
                name, index = plugged.link.name, state.index
                plugged.link = Link(name, index, state.mac, state.mtu, up=True)


def _note_wired(plugged: _Plugged, now: float) -> None:
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
    found = entries.address(payload)
    if found is None or found.scope or not found.flags & entries.IFA_F_PERMANENT:
        return None
    return found.link, found.interface


def _route(payload: bytes) -> tuple[int, tuple[int, Route]] | None:
    found = entries.route(payload)
    if found is None or (found.table, found.kind) != (entries.RT_TABLE_MAIN, entries.RTN_UNICAST):
        return None
    is_cni = found.protocol not in (raw_netlink.RTPROT_REDIRECT, raw_netlink.RTPROT_RA)
    to, hop = found.destination, found.hops[0]
    if not is_cni or to.is_multicast or to == entries.LINK_LOCAL:
        return None
    return hop.link, (found.metric, Route(to, hop.gateway))
