"""The links of the network namespace, read and watched by rtnetlink without a library.

Needs no privilege. pyroute2 costs 18 MiB, and the sidecar wants six attributes of each link.
Numbers are those of linux/rtnetlink.h and linux/if_link.h.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_NETLINK_ROUTE = 0
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_RTM_NEWADDR, _RTM_DELADDR, _RTM_NEWROUTE, _RTM_DELROUTE = 20, 21, 24, 25
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP, _NLM_F_DUMP_INTR = 0x01, 0x300, 0x10
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_EXT_MASK = 1, 3, 4, 10, 29
_RTEXT_FILTER_SKIP_STATS = 1 << 3
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
_GROUP_LINK, _GROUP_IPV4_ADDRESS, _GROUP_IPV4_ROUTE = 0x1, 0x10, 0x40
_GROUP_IPV6_ADDRESS, _GROUP_IPV6_ROUTE = 0x100, 0x400
_AF_BRIDGE = b"\x07"
_BY_REDIRECT, _BY_KERNEL, _BY_RA = 1, 2, 9
_MESSAGE = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")
_CHUNK = 1 << 16
_TIMEOUT = 2.0
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link as it is now."""

    name: str
    index: int
    up: bool
    carrier: bool
    """Of a tap: a process (QEMU) reads it."""
    mtu: int
    mac: str
    master: int
    """Index of the bridge that this link is a port of, 0 for none."""


def read() -> dict[str, LinkState]:
    """Return all links by name. Raises OSError."""
    for _ in range(_ATTEMPTS - 1):
        found, is_whole = _dump()
        if is_whole:
            break
    else:
        found, _ = _dump()
    return {one.name: one for one in found}


def _dump() -> tuple[list[LinkState], bool]:
    """Return the links, and whether none changed meanwhile."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as netlink:
        netlink.settimeout(_TIMEOUT)
        mask = struct.pack("=HHI", 8, _IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
        body = _LINK.pack(0, 0, 0, 0, 0) + mask
        flags = _NLM_F_REQUEST | _NLM_F_DUMP
        netlink.send(_MESSAGE.pack(16 + len(body), _RTM_GETLINK, flags, 1, 0) + body)
        found: list[LinkState] = []
        is_whole = True
        while True:
            for kind, message_flags, payload in _messages(netlink.recv(_CHUNK)):
                is_whole = is_whole and not message_flags & _NLM_F_DUMP_INTR
                if kind == _NLMSG_DONE:
                    return found, is_whole
                if kind == _NLMSG_ERROR:
                    code = -int.from_bytes(payload[:4], sys.byteorder, signed=True)
                    raise OSError(code, f"the kernel does not list its links ({code})")
                if kind == _RTM_NEWLINK and len(payload) >= _LINK.size:
                    found.append(_link(payload))


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, flags and payload of each netlink message."""
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, flags, _, _ = _MESSAGE.unpack_from(data, at)
        if not _MESSAGE.size <= length <= len(data) - at:  # a notice that was cut
            return
        yield kind, flags, data[at + _MESSAGE.size : at + length]
        at += (length + 3) & ~3


def _link(payload: bytes) -> LinkState:
    _, _, index, flags, _ = _LINK.unpack_from(payload)
    attributes = dict(_attributes(payload[_LINK.size :]))
    return LinkState(
        name=attributes.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace"),
        index=index,
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        mtu=int.from_bytes(attributes.get(_IFLA_MTU, b""), sys.byteorder),
        mac=attributes.get(_IFLA_ADDRESS, b"").hex(":"),
        master=int.from_bytes(attributes.get(_IFLA_MASTER, b""), sys.byteorder),
    )


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


@dataclass(frozen=True, slots=True)
class News:
    """What has changed since the last look."""

    links: bool = False
    addresses: bool = False
    """Addresses, or routes that come neither of the kernel nor of a router advertisement."""


def watch() -> socket.socket:
    """Return a socket that hears of every change of a link, address or route. Raises OSError."""
    netlink = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_ROUTE
    )
    groups = _GROUP_LINK | _GROUP_IPV4_ADDRESS | _GROUP_IPV4_ROUTE
    try:
        netlink.bind((0, groups | _GROUP_IPV6_ADDRESS | _GROUP_IPV6_ROUTE))
    except OSError:
        netlink.close()
        raise
    return netlink


def news(netlink: socket.socket) -> News:
    """Read what a `watch` socket has heard."""
    links = addresses = False
    while True:
        try:
            data = netlink.recv(_CHUNK)
        except BlockingIOError:
            return News(links, addresses)
        except OSError:  # ENOBUFS: more has changed than the socket holds
            links = addresses = True
            continue
        for kind, _, payload in _messages(data):
            if kind in (_RTM_NEWLINK, _RTM_DELLINK):
                # Of a bridge port as such (AF_BRIDGE): its states, which nothing here depends on.
                links = links or payload[:1] != _AF_BRIDGE
            elif kind in (_RTM_NEWADDR, _RTM_DELADDR):
                addresses = True
            elif kind in (_RTM_NEWROUTE, _RTM_DELROUTE) and len(payload) >= 6:  # struct rtmsg
                by = payload[5]
                addresses = addresses or by not in (_BY_REDIRECT, _BY_KERNEL, _BY_RA)
