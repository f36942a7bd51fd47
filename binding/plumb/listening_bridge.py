"""Bridges without ports, to which the guard copies the frames that our packet sockets hear.

Pods that are wired at all have the bridge driver. What is sent out by such a bridge can be
heard there and goes nowhere. Bring it up only after the nf_tables rules that copy to it are
installed: packet sockets bind only to a bridge that is up.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from errno import EEXIST

from binding.packet import links
from binding.packet.link_names import LISTENING_BRIDGE
from binding.packet.link_table import IFF_UP
from binding.packet.raw_netlink import (
    NETLINK_ROUTE,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_DELLINK,
    RTM_NEWLINK,
    acknowledged,
    attribute,
    nest,
    opened,
    packed,
    text,
)

_IFF_NOARP = 0x80
_IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO = 3, 4, 18
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_BR_MCAST_SNOOPING = 1, 2, 23
# Less than IPv6 needs, so the kernel sends nothing of its own by it; frames may be longer.
_MTU_WITHOUT_IPV6 = 1_279


def make(at: Iterable[str]) -> tuple[str, ...]:
    """Give each link a listening bridge, still down; return the names of the new ones.

    Bridges of links that are gone, such as a tap that was made anew, are removed.
    Raises OSError, with no bridge left that was not there before.
    """
    for stale in _stale():
        with suppress(OSError):
            remove((stale,))
    made: list[str] = []
    for link in at:
        bridge = links.listening_bridge(link)
        try:
            _create(bridge)
        except OSError as error:
            if error.errno == EEXIST:
                continue
            remove(made)
            raise
        made.append(bridge)
    return tuple(made)


def bring_up(at: Iterable[str]) -> None:
    """Bring the bridges of these links up, now that rules copy to them. Raises OSError."""
    for link in at:
        name = text(_IFLA_IFNAME, links.listening_bridge(link))
        _request(RTM_NEWLINK, 0, _link(IFF_UP) + name)


def remove(bridges: Iterable[str]) -> None:
    """Remove bridges; no packet socket may listen at them. Raises OSError."""
    for bridge in bridges:
        _request(RTM_DELLINK, 0, _link(0) + text(_IFLA_IFNAME, bridge))


def _stale() -> list[str]:
    """Return the bridges whose links, which their names tell by number, are gone."""
    there = socket.if_nameindex()
    current = {f"{LISTENING_BRIDGE}{number}" for number, _ in there}
    return [name for _, name in there if name.startswith(LISTENING_BRIDGE) and name not in current]


def _create(bridge: str) -> None:
    without_snooping = nest(_IFLA_INFO_DATA, attribute(_IFLA_BR_MCAST_SNOOPING, b"\0"))
    kind = nest(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, b"bridge") + without_snooping)
    mtu = attribute(_IFLA_MTU, struct.pack("=I", _MTU_WITHOUT_IPV6))
    about = text(_IFLA_IFNAME, bridge) + mtu + kind
    _request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, _link(_IFF_NOARP) + about)


def _link(flags: int) -> bytes:
    """Return a struct ifinfomsg that sets these flags."""
    return struct.pack("=BxHiII", 0, 0, 0, flags, flags)


def _request(kind: int, flags: int, body: bytes) -> None:
    with opened(NETLINK_ROUTE) as netlink:
        netlink.send(packed(1, kind, flags | NLM_F_ACK, body))
        for _, code in acknowledged(netlink.recv(1 << 16)):
            if code:
                raise OSError(code, f"netlink refused it ({code})")
