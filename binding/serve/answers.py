"""Answers of DHCP kept for requests that differ in their transaction id alone. Pure.

An answer is a function of packet and guest, so a client that asks again the same need
not wait for the codec. Few entries: a hostile guest can empty this, never fill memory.
"""

from __future__ import annotations

from dataclasses import replace

from binding.ipc.repeats import renumbered
from guest.exchange import Exchange
from guest.frame import Packet

_MOST = 64


class Memo:
    """The latest answers of one guest's DHCP servers."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Exchange] = {}

    @property
    def size(self) -> int:
        """How many answers are remembered; another number after each that is new."""
        return len(self._kept)

    def recall(self, packet: Packet) -> Exchange | None:
        """Return the answer, with this packet's transaction id, if it is known."""
        found = self._kept.get(_key(packet))
        if found is None:
            return None
        version = packet.dst.version
        return replace(found, frame=renumbered(found.frame, packet.payload[_XID[version]], version))

    def keep(self, packet: Packet, exchange: Exchange) -> None:
        """Remember an answer that was sent; silence costs little and is not kept."""
        if not exchange.frame:
            return
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[_key(packet)] = exchange


# In the payload: where the transaction id is, and in BOOTP the seconds since the start
# behind it, which change from one try to the next and which no answer depends on.
_XID = {4: slice(4, 8), 6: slice(1, 4)}
_SET_ASIDE = {4: slice(4, 10), 6: slice(1, 4)}


def _key(packet: Packet) -> tuple[object, ...]:
    aside = _SET_ASIDE[packet.dst.version]
    rest = packet.payload[: aside.start], packet.payload[aside.stop :]
    ports = packet.sport, packet.dport
    ends = packet.src_mac, packet.dst_mac, packet.src, packet.dst, *ports
    return (*ends, len(packet.payload), *rest)
