"""A guest's request once more: known by its bytes, answered without thinking. Pure.

An answer is a function of request and guest. A client that starts again says what it
said before, but for numbers that no answer depends on: those are set aside, and the
transaction id goes into the answer. A request is compared here, and not taken apart.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeVar

from guest.ethernet import ETH_IPV4, ETH_IPV6, UDP
from guest.exchange import Exchange
from guest.frame import parse

# Where frames may differ that have neither IPv4 options nor IPv6 extension headers: IPv4's
# identification and header checksum, IPv6's flow label; the UDP checksum; the transaction id,
# in BOOTP with the seconds behind it.
_ASIDE = {
    ETH_IPV4: ((18, 20), (24, 26), (40, 42), (46, 52)),
    ETH_IPV6: ((15, 18), (60, 62), (63, 66)),
}
_XID = {ETH_IPV4: slice(46, 50), ETH_IPV6: slice(63, 66)}
_VERSION = {ETH_IPV4: 4, ETH_IPV6: 6}
# In the frame: the UDP checksum and the transaction id.
_CHECKSUM = {4: 14 + 20 + 6, 6: 14 + 40 + 6}
_FRAME_XID = {4: 14 + 20 + 8 + 4, 6: 14 + 40 + 8 + 1}
_LONGEST = 1_500
_MOST = 16

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A request of the guest, and what it is answered with."""

    request: bytes
    """The whole frame."""
    partial_checksum: bool
    """The guest left its checksum to the hardware."""
    answer: Exchange
    nic: tuple[bytes, ...] = ()
    """Frames for the pod NIC that go with the answer."""

    @property
    def tells(self) -> bool:
        """Whether it says that more will follow; a guest verifies its router for ever."""
        return self.answer.reply != "NA"

    def reply(self, frame: bytes, *, partial_checksum: bool) -> bytes | None:
        """Return the answer to a frame that is this request once more, else None."""
        if partial_checksum != self.partial_checksum or len(frame) != len(self.request):
            return None
        if frame == self.request:
            return self.answer.frame
        kind = _dhcp(self.request)
        if kind is None or _kept(frame, kind) != _kept(self.request, kind):
            return None
        if parse(frame, partial_checksum=partial_checksum) is None:
            return None  # the checksum, which was set aside
        return renumbered(self.answer.frame, frame[_XID[kind]], _VERSION[kind])


def repeat(
    request: bytes, answers: tuple[Exchange, ...], nic: tuple[bytes, ...], *, partial_checksum: bool
) -> Repeat | None:
    """Return what is worth remembering of a request, if it got one answer of its own."""
    own = [answer for answer in answers if answer.request]
    if len(own) != 1 or not own[0].frame or own[0].warning or len(request) > _LONGEST:
        return None
    return Repeat(request, partial_checksum, own[0], nic)


class Repeats:
    """What one guest has asked of late: a few requests of DHCP, and as many solicitations."""

    def __init__(self) -> None:
        self._requests: dict[tuple[bytes, ...], Repeat] = {}
        self._solicitations: dict[bytes, Repeat] = {}

    @property
    def all(self) -> tuple[Repeat, ...]:
        """The latest of both."""
        return (*self._requests.values(), *self._solicitations.values())

    def solicitation(self, frame: bytes, *, partial_checksum: bool) -> Repeat | None:
        """Return the RS or NS that repeats to the byte."""
        found = self._solicitations.get(frame)
        return found if found and found.partial_checksum == partial_checksum else None

    def keep(self, repeat: Repeat | None) -> None:
        """Remember it, and forget the oldest. The same request again takes no place of its own."""
        if repeat is None:
            return
        kind = _dhcp(repeat.request)
        if kind is None:
            _put(self._solicitations, repeat.request, repeat)
        else:
            _put(self._requests, _kept(repeat.request, kind), repeat)

    def forget_solicitations(self) -> None:
        """Do so when what they are answered with has changed."""
        self._solicitations.clear()


def _put(kept: dict[K, Repeat], key: K, repeat: Repeat) -> None:
    kept.pop(key, None)
    if len(kept) >= _MOST:
        del kept[next(iter(kept))]
    kept[key] = repeat


def _dhcp(request: bytes) -> int | None:
    """Return the EtherType of a plain DHCP request; anything else must repeat to the byte."""
    kind = int.from_bytes(request[12:14], "big")
    if kind == ETH_IPV4 and request[14] == 0x45 and request[23] == UDP:
        return kind
    return kind if kind == ETH_IPV6 and request[20] == UDP else None


def _kept(frame: bytes, kind: int) -> tuple[bytes, ...]:
    parts, begin = [], 0
    for start, end in _ASIDE[kind]:
        parts.append(frame[begin:start])
        begin = end
    return (*parts, frame[begin:])


def renumbered(frame: bytes, now: bytes, version: int) -> bytes:
    """Return the frame with another transaction id, its checksum corrected (RFC 1624)."""
    at, checksum = _FRAME_XID[version], _CHECKSUM[version]
    # The checksum counts 16-bit words, DHCPv6's id has 24 bits and an odd place.
    even = at - at % 2
    length = len(now) + at % 2 + (at + len(now)) % 2
    old = frame[even : even + length]
    new = bytearray(old)
    new[at - even : at - even + len(now)] = now
    (total,) = struct.unpack_from("!H", frame, checksum)
    words = f"!{length // 2}H"
    total = ~total & 0xFFFF
    for was, word in zip(struct.unpack(words, old), struct.unpack(words, new), strict=True):
        total += (~was & 0xFFFF) + word
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    # 0 would mean "no checksum" (RFC 768).
    total = (~total & 0xFFFF) or 0xFFFF
    changed = bytearray(frame)
    changed[even : even + length] = new
    struct.pack_into("!H", changed, checksum, total)
    return bytes(changed)
