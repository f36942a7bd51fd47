"""DHCPv4 messages: the reader, the key under which an answer is kept, and the answer."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

from dhcp import server, v4, v4_key, v4_option_codec
from dhcp.v4_request import Request, read
from guest.ethernet import UDP
from guest.frame import Packet
from tests.fuzz import mutations, wire
from tests.fuzz.guests import GUESTS, MAC
from tests.fuzz.requests import _CODES4

SEEDS = [bytes((n % 5,)) + frame[42:] for n, frame in enumerate(wire.stored("v4"))]


def run(data: bytes) -> None:
    """A kept answer is the answer; whatever is read has a meaning that survives its own writing."""
    if not data:
        return
    payload = data[1:]
    decoded = v4_option_codec.decode(payload[240:], payload[108:236], payload[44:108])
    assert sum(map(len, decoded.values())) <= len(payload)
    request, meant = read(payload), v4_key.meaning(payload)
    if meant is not None:
        assert v4_key.meaning(v4_key.request(meant)) == meant, "a key that means something else"
    if not isinstance(request, Request) or request.kind not in v4._ANSWERS:
        return
    if data[0] & 0xF0:
        return  # each answer is a millisecond of scapy
    guest = GUESTS[data[0] % 5]
    packet = Packet(
        MAC, "ff:ff:ff:ff:ff:ff", IPv4Address(0), v4.EVERYBODY, 64, UDP, 68, 67, payload
    )
    fresh, key = v4.answer(packet, guest), server.question(packet)
    if key is not None:
        kept = v4.answer(server.plain(packet, key[0]), guest)
        assert fresh is not None and kept is not None
        assert (fresh.request, fresh.reply, fresh.note) == (kept.request, kept.reply, kept.note)
        assert _without_transaction(fresh.frame) == _without_transaction(kept.frame)


def _without_transaction(frame: bytes) -> bytes:
    return frame[:40] + frame[42:46] + frame[50:]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change the options, those in the fields of file and sname too."""
    head, payload = bytes((rng.randrange(5) + 16 * rng.randrange(12),)), data[1:]
    if len(payload) < 240 or not rng.randrange(5):
        return head + mutations.octets(payload, rng)
    fields = payload[44:236]
    if not rng.randrange(4):
        fields = (mutations.options(fields, rng, 1, _CODES4) + bytes(192))[:192]
    options = mutations.options(payload[240:], rng, 1, _CODES4)
    return head + payload[:44] + fields + payload[236:240] + options
