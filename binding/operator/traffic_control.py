"""Queues and filters of traffic control (tc) that others put at a link, and where a bridge sends.

By rtnetlink, without a library; numbers are those of linux/rtnetlink.h and linux/pkt_sched.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from binding.packet.raw_netlink import RTM_GETNEIGH, as_text, attributes, dump

_RTM_GETQDISC, _RTM_GETFILTER = 38, 46
_KIND, _LLADDR = 1, 2
_AF_BRIDGE = 7
_NUD_PERMANENT, _NTF_SELF = 0x80, 0x02
_TCMSG = struct.Struct("=BxxxiIII")
_NDMSG = struct.Struct("=BxxxiHBB")
_USUAL = ("noqueue", "pfifo_fast", "fq_codel", "fq", "mq", "pfifo", "bfifo", "cake")
"""Queueing disciplines that a link has by default; they drop nothing but what is too much."""
_INGRESS = 0xFFFF0000
_CLSACT = {"in": 0xFFFFFFF2, "out": 0xFFFFFFF3}


def foreign(names: dict[int, str]) -> dict[str, tuple[str, ...]]:
    """Return what can hold frames back at each of these links, by name. Raises OSError."""
    found: dict[str, tuple[str, ...]] = {}
    for body in dump(_RTM_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0)):
        _, index, _, _, _ = _TCMSG.unpack_from(body)
        if index not in names:
            continue
        name = as_text(attributes(body[_TCMSG.size :]).get(_KIND, b""))
        what = tuple(_of(name, index))
        if what:
            found[names[index]] = (*found.get(names[index], ()), *what)
    return found


def _of(name: str, index: int) -> Iterator[str]:
    """Yield what one queueing discipline does to frames."""
    parents = {"clsact": _CLSACT, "ingress": {"in": _INGRESS}}.get(name)
    if parents is None:
        if name not in _USUAL:
            yield f"queueing discipline {name}"
        return
    for direction, parent in parents.items():
        with suppress(OSError):
            request = _TCMSG.pack(0, index, 0, parent, 0)
            if dump(_RTM_GETFILTER, request):
                yield f"filters of {name} for what comes {direction}"


def learned(mac: str, *, kept: bool = False) -> frozenset[int]:
    """Return the indexes of the bridge ports by which bridges send to a MAC. Raises OSError.

    `kept`: of those links only by which a bridge takes frames to the MAC for the pod's own, as a
    link has it, or by an entry that is `permanent`.
    """
    wanted, found = bytes.fromhex(mac.replace(":", "")), set()
    for body in dump(RTM_GETNEIGH, _NDMSG.pack(_AF_BRIDGE, 0, 0, 0, 0)):
        _, index, state, flags, _ = _NDMSG.unpack_from(body)
        is_kept = bool(state & _NUD_PERMANENT) and not flags & _NTF_SELF
        if attributes(body[_NDMSG.size :]).get(_LLADDR) == wanted and (is_kept or not kept):
            found.add(index)
    return frozenset(found)
