"""RS, NS, NA, RA and ARP, of the guest and of the pod network, and what they make of a session."""

from __future__ import annotations

import random

from binding.ipc.codec import decode, encode
from guest.ethernet import ICMPV6, mac_bytes
from guest.frame import parse
from ra import arp, guest_input, message, neighbor, network_input, solicitation_key
from ra.state import State
from tests.fuzz import mutations, wire
from tests.fuzz.guests import GUESTS, MAC
from tests.fuzz.requests import _CODES_ND

_GATEWAY = "ee:ee:ee:ee:ee:ee"
SEEDS = [
    bytes((n % 5, n % 2)) + (frame.replace(frame[6:12], mac_bytes(MAC)) if n % 2 else frame)
    for n, frame in enumerate(wire.stored("ra") * 2)
]


def run(data: bytes) -> None:
    """A session takes any frame, from either side, and can be handed over after it."""
    if len(data) < 2:
        return
    guest, frame = GUESTS[data[0] % 5], data[2:]
    packet = parse(frame, partial_checksum=True)
    arp.parse(frame)
    arp.answer(frame, guest.mac, dict(guest.permanent_neighbors))
    state = guest_input.start(guest, 0.0)
    if packet is not None and packet.protocol == ICMPV6:
        message.options(packet.payload[8:])
        neighbor.parse_na(packet)
        solicitation_key.question(packet, guest)
    if data[1] & 1:
        if packet is None or packet.protocol != ICMPV6:
            return
        state, _ = guest_input.from_guest(state, guest, packet, 1.0)
    else:
        state, _ = guest_input.from_guest(state, guest, None, 0.0)
        state, _ = network_input.from_network(state, guest, frame, 1.0)
    for now in (1.5, 3.0, 60.0):
        state, _ = guest_input.due(state, guest, now)
    assert decode(State, encode(state)) == state


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change options and addresses; checksums are right."""
    head, frame = bytes((rng.randrange(5), rng.randrange(2))), data[2:]
    if frame[12:14] == b"\x86\xdd" and len(frame) >= 78 and rng.randrange(4):
        fixed = 54 + (8 if frame[54] == 133 else 16 if frame[54] == 134 else 24)
        frame = frame[:fixed] + mutations.options(frame[fixed:], rng, 1, _CODES_ND)
    else:
        frame = mutations.octets(frame, rng)
    if not rng.randrange(3):
        frame = frame[:6] + mac_bytes(rng.choice((MAC, _GATEWAY))) + frame[12:]
    return head + wire.mended(frame)
