"""The links of the network namespace, read and watched by rtnetlink.

Numbers are those of linux/rtnetlink.h and linux/if_link.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

from binding.packet import raw_netlink
from binding.packet.raw_netlink import as_number, as_text, attributes

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_EXT_MASK = 1, 3, 4, 10, 29
_IFLA_LINKINFO, _IFLA_INFO_KIND = 18, 1
_RTEXT_FILTER_SKIP_STATS = 1 << 3
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
_GROUP_LINK, _GROUP_IPV4_ADDRESS, _GROUP_IPV4_ROUTE = 0x1, 0x10, 0x40
_GROUP_IPV6_ADDRESS, _GROUP_IPV6_ROUTE = 0x100, 0x400
_HOLDS = 1 << 20
_GROUPS = (
    _GROUP_LINK | _GROUP_IPV4_ADDRESS | _GROUP_IPV4_ROUTE | _GROUP_IPV6_ADDRESS | _GROUP_IPV6_ROUTE
)
AF_BRIDGE = b"\x07"
_BY_OTHERS = (raw_netlink.RTPROT_REDIRECT, raw_netlink.RTPROT_KERNEL, raw_netlink.RTPROT_RA)
_LINK = struct.Struct("=BxHiII")


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link as it is now."""

    name: str
    index: int
    up: bool
    carrier: bool
    """At a tap: whether a process (QEMU) reads it."""
    mtu: int
    mac: str
    master: int
    """Index of the bridge that this link is a port of, 0 for none."""
    kind: str = ""
    """IFLA_INFO_KIND: veth, tun, bridge …; empty for hardware."""


def read() -> dict[str, LinkState]:
    """Return all links by name. Raises OSError."""
    mask = struct.pack("=HHI", 8, _IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
    listed = raw_netlink.dump(raw_netlink.RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0) + mask)
    found = [link(payload) for payload in listed if len(payload) >= _LINK.size]
    return {one.name: one for one in found}


def link(payload: bytes) -> LinkState:
    """Return the link that a message of RTM_NEWLINK or RTM_DELLINK is about."""
    _, _, index, flags, _ = _LINK.unpack_from(payload)
    about = attributes(payload[_LINK.size :])
    return LinkState(
        name=as_text(about.get(_IFLA_IFNAME, b"")),
        index=index,
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        mtu=as_number(about.get(_IFLA_MTU, b"")),
        mac=about.get(_IFLA_ADDRESS, b"").hex(":"),
        master=as_number(about.get(_IFLA_MASTER, b"")),
        kind=as_text(attributes(about.get(_IFLA_LINKINFO, b"")).get(_IFLA_INFO_KIND, b"")),
    )


@dataclass(frozen=True, slots=True)
class News:
    """What has changed since the last look."""

    messages: tuple[tuple[int, bytes], ...] = ()
    """Type and payload of each, in the kernel's order."""
    links: bool = False
    addresses: bool = False
    """Addresses, or routes that come neither of the kernel nor of a router advertisement."""


def watch() -> socket.socket:
    """Return a socket that hears of every change of a link, address or route. Raises OSError."""
    netlink = raw_netlink.watch(_GROUPS)
    # As much as the node allows: wiring changes links faster than a throttled container reads.
    netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _HOLDS)
    return netlink


def news(netlink: socket.socket) -> News:
    """Read what a `watch` socket has heard."""
    links = addresses = False
    messages: list[tuple[int, bytes]] = []
    while True:
        try:
            data = netlink.recv(raw_netlink.CHUNK)
        except BlockingIOError:
            return News(tuple(messages), links, addresses)
        except OSError as error:
            links = addresses = True
            if error.errno == errno.ENOBUFS:  # more has changed than the socket holds
                continue
            return News(tuple(messages), links, addresses)  # no memory to read them now
        for kind, _, _, payload in raw_netlink.messages(data):
            messages.append((kind, payload))
            if kind in (raw_netlink.RTM_NEWLINK, raw_netlink.RTM_DELLINK):
                links = True  # or the settings of a bridge port (AF_BRIDGE)
            elif kind in (raw_netlink.RTM_NEWADDR, raw_netlink.RTM_DELADDR):
                addresses = True
            elif kind in (raw_netlink.RTM_NEWROUTE, raw_netlink.RTM_DELROUTE):
                by = as_number(payload[5:6])  # rtm_protocol
                addresses = addresses or by not in _BY_OTHERS
