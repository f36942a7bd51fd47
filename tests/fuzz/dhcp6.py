"""DHCPv6 messages: the reader, the key under which an answer is kept, and the answer."""

from __future__ import annotations

import random
from ipaddress import IPv6Address

from dhcp import server, v6, v6_key
from dhcp.v6_message import Message, parse
from guest.ethernet import UDP
from guest.frame import Packet
from tests.fuzz import mutations, wire
from tests.fuzz.guests import GUESTS, MAC
from tests.fuzz.requests import _CODES6

SEEDS = [bytes((n % 5,)) + frame[62:] for n, frame in enumerate(wire.stored("v6"))]
_DUID = v6.server_duid(GUESTS[0])


def run(data: bytes) -> None:
    """A kept answer is the answer; whatever is read has a meaning that survives its own writing."""
    if not data:
        return
    payload = data[1:]
    message, meant = parse(payload), v6_key.meaning(payload)
    if meant is not None:
        assert v6_key.meaning(v6_key.request(meant)) == meant, "a key that means something else"
    if not isinstance(message, Message):
        return
    if data[0] & 0xF0:
        return  # each answer is a millisecond of scapy
    guest = GUESTS[data[0] % 5]
    packet = Packet(
        *(MAC, "33:33:00:01:00:02", IPv6Address("fe80::1"), IPv6Address("ff02::1:2")),
        *(1, UDP, 546, 547, payload),
    )
    if v6._silence(message, packet, guest):
        return
    fresh, key = server.answer(packet, guest), server.question(packet)
    assert fresh is not None and key is not None
    kept = server.answer(server.plain(packet, key[0]), guest)
    assert kept is not None
    assert (fresh.request, fresh.reply, fresh.note) == (kept.request, kept.reply, kept.note)
    assert _without_transaction(fresh.frame) == _without_transaction(kept.frame)


def _without_transaction(frame: bytes) -> bytes:
    return frame[:60] + frame[62:63] + frame[66:]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change the options, those inside IAs too; the server identifier is often ours."""
    head, payload = bytes((rng.randrange(5) + 16 * rng.randrange(12),)), data[1:]
    if len(payload) < 4 or not rng.randrange(6):
        return head + mutations.octets(payload, rng)
    kind = bytes((rng.choice((1, 3, 4, 5, 6, 8, 9, 11, payload[0])),))
    options = mutations.options(payload[4:], rng, 2, _CODES6)
    if not rng.randrange(3):
        options = b"\0\2" + len(_DUID).to_bytes(2, "big") + _DUID + options
    return head + kind + payload[1:4] + options
