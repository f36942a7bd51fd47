"""The whole way from a frame of the guest to its replies: all that a guest reaches of `serve`.

Octet 0 says whose frame it is, octet 1 whether its checksum is left to the hardware, whether time
passes after it and whether it comes again.
"""

from __future__ import annotations

import random

from binding.ipc.codec import build, decode, encode
from binding.ipc.handover import Handover
from binding.operator import capture, traffic
from binding.packet import address_owner
from binding.serve import client_words
from binding.serve.output import Output
from binding.serve.responder import Responder
from guest.ethernet import mac_bytes, mac_text
from guest.frame import parse
from guest.network import GuestNetwork
from ra.state import State
from tests.fuzz import mutations, wire
from tests.fuzz.guests import GUESTS, MAC

_CODES4 = (50, 51, 52, 53, 54, 55, 57, 60, 61, 66, 77, 80, 82, 93, 108, 116, 175, 12, 0, 255, 121)
_CODES6 = (1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15, 16, 17, 23, 24, 25, 26, 39, 59, 61, 82, 83)
_CODES_ND = (1, 2, 3, 5, 14, 24, 25, 31)

_PARTIAL, _LATER, _AGAIN = 1, 2, 4


def _of_guest(frame: bytes) -> bytes:
    return frame.replace(frame[6:12], mac_bytes(MAC))


SEEDS = [
    bytes((number % len(GUESTS), 7)) + _of_guest(frame)
    for number, frame in enumerate(wire.stored("v4", "v6", "ra", "ovn"))
]


def run(data: bytes) -> None:
    """Answer a frame; maybe again by what is remembered of it, and by a successor of `serve`."""
    if len(data) < 2:
        return
    guest, how, frame = GUESTS[data[0] % len(GUESTS)], data[1], data[2:]
    partial = bool(how & _PARTIAL)
    for words in client_words.read(frame).values():
        assert words.isascii() and words.isprintable()
    capture.protocol(frame)
    address_owner.read(frame)
    found = traffic.Traffic()
    traffic.at_tap(found, guest, frame, 0.0)
    traffic.messages_at_tap(found, guest, frame, 0.0)
    assert found.unanswered is not None
    responder = Responder(guest, 0.0)
    first = responder.from_guest(frame, 0.0, partial_checksum=partial)
    _check(first, guest)
    if how & _LATER:
        for at in (1.0, 4.0, 30.0):
            _check(responder.due(at), guest)
    if not how & _AGAIN:
        return
    again = responder.from_guest(frame, 40.0, partial_checksum=partial)
    _check(again, guest)
    said = [one for one in first.exchanges if one.request not in ("", "RS", "NS", "malformed")]
    assert not said or not said[0].reply or said[0] in again.exchanges, "another answer"
    if left := responder.handover(80.0):
        assert decode(Handover, encode(left)) == left
        state = build(State, left.ra_state)
        successor = Responder(guest, 80.0, responder.service.ours, state, left.repeats)
        _check(successor.from_guest(frame, 80.0, partial_checksum=partial), guest)


def _check(output: Output, guest: GuestNetwork) -> None:
    """What holds of all that is sent to a guest."""
    for frame in output.tap:
        assert len(frame) <= 14 + max(guest.mtu, 1280), "larger than the guest's link takes"
        assert mac_text(frame[:6]) == guest.mac or frame[0] & 1, "to somebody else"
        assert mac_text(frame[6:12]) != guest.mac, "from the guest's own MAC"
        if frame[12:14] != b"\x08\x06":
            assert parse(frame) is not None, "a reply with a wrong length or checksum"
    for exchange in output.exchanges:
        assert exchange.request or exchange.note
        assert len(exchange.note) < 2000
        assert bool(exchange.reply) == bool(exchange.frame)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change options behind a right header, or the header; lengths and checksums mostly right."""
    how = rng.choice((0, 1, 1, 1, 1, 1, 3, 5))
    head, frame = bytes((rng.randrange(8), how)), data[2:]
    if len(frame) < 62:
        return head + mutations.octets(frame, rng)
    at = wire.payload_at(frame)
    match rng.randrange(6):
        case 0:
            frame = mutations.octets(frame, rng)
        case 1:
            frame = frame[:at] + mutations.octets(frame[at:], rng)
        case 2:
            frame = mutations.octets(frame[:at], rng) + frame[at:]
        case _ if at == 42:
            options = mutations.options(frame[at + 240 :], rng, 1, _CODES4)
            frame = frame[: at + 240] + options
        case _ if at == 62:
            frame = frame[: at + 4] + mutations.options(frame[at + 4 :], rng, 2, _CODES6)
        case _:
            fixed = 8 if frame[at] in (133, 134) else 24
            frame = frame[: at + fixed] + mutations.options(frame[at + fixed :], rng, 1, _CODES_ND)
    return head + (wire.mended(frame) if rng.randrange(8) else frame)
