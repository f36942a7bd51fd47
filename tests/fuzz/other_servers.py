"""What other servers and routers say to a guest, read off the pod NIC by serve and by diagnose."""

from __future__ import annotations

import random

from binding.operator import traffic
from binding.packet import address_owner
from binding.serve import other_servers
from binding.serve.responder import Responder
from guest.ethernet import mac_bytes
from guest.frame import parse
from tests.fuzz import mutations, wire
from tests.fuzz.guests import GUESTS, MAC
from tests.fuzz.requests import _CODES4, _CODES6, _CODES_ND

_KUBE_OVN = range(5, 8)
_TO_GUEST = [
    frame.replace(frame[:6], mac_bytes(MAC)) if not frame[0] & 1 else frame
    for frame in wire.stored("ovn", "ra")
]
SEEDS = [bytes((5 + n % 3,)) + frame for n, frame in enumerate(_TO_GUEST)]


def run(data: bytes) -> None:
    """Watch a server's answers beside the guest's requests."""
    if not data:
        return
    guest, frame = GUESTS[5 + data[0] % len(_KUBE_OVN)], data[1:]
    packet = parse(frame, partial_checksum=True)
    if packet is not None:
        other_servers.read(packet, guest.mac)
    address_owner.read(frame)
    found = traffic.Traffic()
    traffic.at_nic(found, guest, frame, 0.0)
    traffic.messages_at_nic(found, guest, frame, 0.0)
    if data[0] & 0x40:
        return  # the rest is slow
    responder = Responder(guest, 0.0)
    responder.due(0.1)
    responder.from_network(frame, 0.2, partial_checksum=True)
    responder.appear(0.3)
    responder.from_network(frame, 0.4, partial_checksum=True)
    for at in (1.0, 3.0, 10.0):
        responder.due(at)
    findings = responder.service.others.findings if responder.service else {}
    assert all(len(text) < 1000 for text in findings.values())


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change options; lengths and checksums are right."""
    head, frame = bytes((rng.randrange(3) + 0x40 * rng.randrange(2),)), data[1:]
    if len(frame) < 62 or not rng.randrange(4):
        return head + wire.mended(mutations.octets(frame, rng))
    at = wire.payload_at(frame)
    fixed, width, codes = {42: (240, 1, _CODES4), 62: (4, 2, _CODES6)}.get(at, (16, 1, _CODES_ND))
    begin = at + fixed
    return head + wire.mended(frame[:begin] + mutations.options(frame[begin:], rng, width, codes))
