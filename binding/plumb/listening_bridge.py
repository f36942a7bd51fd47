"""Links that carry nothing but what the guard hands to our packet sockets.

An ear is a bridge without ports: pods that are wired at all have its driver. What is
sent out by it can be heard there and goes nowhere. It is up once the guard is in force:
nobody listens at one that nothing is handed to.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from errno import EEXIST

from binding.packet import links
from binding.plumb.nfnetlink import ACK, CREATE, EXCLUSIVE, answers, attribute, nest, packed, text

_NETLINK_ROUTE = 0
_NEWLINK, _DELLINK = 16, 17
_IFF_UP, _IFF_NOARP = 0x01, 0x80
_IFNAME, _MTU, _LINKINFO = 3, 4, 18
_KIND, _DATA, _MCAST_SNOOPING = 1, 2, 23
# Less than IPv6 needs, so the kernel says nothing by it of its own; frames may be longer.
_SILENT = 1_279
_TIMEOUT = 5.0


def make(at: Iterable[str]) -> tuple[str, ...]:
    """Give each link an ear, still down; return the names of the new ones.

    Raises OSError, with none left that was not there before.
    """
    made: list[str] = []
    for link in at:
        try:
            _create(links.ear(link))
        except OSError as error:
            if error.errno == EEXIST:
                continue
            remove(made)
            raise
        made.append(links.ear(link))
    return tuple(made)


def bring_up(at: Iterable[str]) -> None:
    """Say by it that the ears of these links are fed from now on; OSError where that fails."""
    for link in at:
        _request(_NEWLINK, 0, _link(_IFF_UP) + text(_IFNAME, links.ear(link)))


def remove(ears: Iterable[str]) -> None:
    """Take ears away; nobody may listen at them."""
    for ear in ears:
        _request(_DELLINK, 0, _link(0) + text(_IFNAME, ear))


def _create(ear: str) -> None:
    without_snooping = nest(_DATA, attribute(_MCAST_SNOOPING, b"\0"))
    kind = nest(_LINKINFO, attribute(_KIND, b"bridge") + without_snooping)
    about = text(_IFNAME, ear) + attribute(_MTU, struct.pack("=I", _SILENT)) + kind
    _request(_NEWLINK, CREATE | EXCLUSIVE, _link(_IFF_NOARP) + about)


def _link(flags: int) -> bytes:
    return struct.pack("=BxHiII", 0, 0, 0, flags, flags)


def _request(kind: int, flags: int, body: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as netlink:
        netlink.settimeout(_TIMEOUT)
        netlink.send(packed(1, kind, flags | ACK, body))
        for _, code in answers(netlink.recv(1 << 16)):
            if code:
                raise OSError(code, f"netlink refused it ({code})")
