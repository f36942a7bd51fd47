"""Answers kept: each is built once and given again to every request of equal meaning. Pure.

The key of an answer is all that it depends on (dhcp.server.question, ra.solicitation_key), so a
request that gets an answer from here would get the same one built afresh. Only DHCP's transaction
id differs, and with it the UDP checksum: both are put into the octets here. Silence is an answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from binding.serve.output import Output
from dhcp import server
from guest.ethernet import ETH_IPV4
from guest.exchange import Exchange
from guest.frame import Packet
from guest.network import GuestNetwork

_MOST = 64
"""Answers kept for one guest: a hostile guest can push answers out, never fill memory."""
_ETHERTYPE = slice(12, 14)
_IN_IPV4 = slice(34 + 6, 34 + 8), slice(42 + 4, 42 + 8)
_IN_IPV6 = slice(54 + 6, 54 + 8), slice(62 + 1, 62 + 4)
"""UDP checksum and transaction id in a frame without IPv4 options and extension headers, as all
answers are."""


@dataclass(slots=True)
class Answer:
    """The answer to all requests of one meaning, and the latest such request."""

    exchange: Exchange
    nic: tuple[bytes, ...] = ()
    """Frames for the pod NIC that are sent with the answer."""
    parts: tuple[bytes, bytes, bytes] | None = None
    """The octets of a DHCP answer before, between and behind checksum and transaction id."""
    total: int = 0
    """Sum of the answer's 16-bit words with transaction id 0; the complement is the checksum."""
    request: bytes = b""
    """The latest request: the whole frame."""
    partial_checksum: bool = False
    transaction: bytes = b""
    number: int = 0
    """Serial number of that request: the order in which answers were asked for."""

    def to(self, transaction: bytes) -> Exchange:
        """Return the exchange with the transaction id of a request."""
        if self.parts is None:
            return self.exchange
        number = int.from_bytes(transaction, "big")
        # In both protocols the id ends with a 16-bit word of the sum.
        total = self.total + (number >> 16) + (number & 0xFFFF)
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        checksum = (~total & 0xFFFF) or 0xFFFF  # 0 would mean "none" (RFC 768)
        head, middle, tail = self.parts
        said = self.exchange
        frame = b"".join((head, checksum.to_bytes(2, "big"), middle, transaction, tail))
        return Exchange(said.request, said.reply, frame, said.note, said.warning)

    def output(self, transaction: bytes) -> Output:
        """Return what to send and to report."""
        exchange = self.to(transaction)
        return Output((exchange.frame,) if exchange.frame else (), (), (exchange,))


def taken_apart(exchange: Exchange) -> Answer:
    """Split a DHCP answer built with transaction id 0, so that `to` can put in any other."""
    frame = exchange.frame
    if not frame:
        return Answer(exchange)
    is_ipv4 = frame[_ETHERTYPE] == ETH_IPV4.to_bytes(2, "big")
    checksum, number = _IN_IPV4 if is_ipv4 else _IN_IPV6
    total = ~int.from_bytes(frame[checksum], "big") & 0xFFFF
    parts = frame[: checksum.start], frame[checksum.stop : number.start], frame[number.stop :]
    return Answer(exchange, parts=parts, total=total)


class Answers:
    """The latest answers of one guest."""

    def __init__(self, guest: GuestNetwork) -> None:
        self._guest = guest
        self._kept: dict[Hashable, Answer] = {}
        self._number = 0

    def dhcp(self, packet: Packet) -> tuple[Answer, bytes] | None:
        """Return the answer to a DHCP packet, and the packet's transaction id; else None.

        An empty transaction id means that the answer is for this packet alone and is not kept.
        """
        asked = server.question(packet)
        if asked is None:
            exchange = server.answer(packet, self._guest)
            return None if exchange is None else (Answer(exchange), b"")
        key, transaction = asked
        answer = self._kept.get(key)
        if answer is None:
            exchange = server.answer(server.plain(packet, key), self._guest)
            if exchange is None:
                return None
            answer = taken_apart(exchange)
            self.keep(key, answer)
        return answer, transaction

    def known(self, key: Hashable) -> Answer | None:
        """Return an answer that was kept."""
        return self._kept.get(key)

    def keep(self, key: Hashable, answer: Answer) -> None:
        """Keep an answer; without room forget the one that was asked for longest ago."""
        if len(self._kept) >= _MOST and key not in self._kept:
            del self._kept[min(self._kept, key=lambda one: self._kept[one].number)]
        self._kept[key] = answer

    def asked(
        self,
        answer: Answer,
        frame: bytes,
        transaction: bytes = b"",
        *,
        partial_checksum: bool = False,
    ) -> None:
        """Take note of the latest request that got an answer."""
        self._number += 1
        answer.request, answer.transaction, answer.number = frame, transaction, self._number
        answer.partial_checksum = partial_checksum

    def latest(self) -> list[tuple[Hashable, Answer]]:
        """Return keys and answers in the order in which they were asked for, the latest last."""
        asked = sorted(self._kept.items(), key=lambda one: one[1].number)
        return [(key, answer) for key, answer in asked if answer.request]
