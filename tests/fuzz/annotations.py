"""A NIC's annotation and DSBRIDGE_DEFAULTS, up to the answers that their guest gets."""

from __future__ import annotations

import json
import random

from binding.discover import annotation, contradiction, guests
from binding.serve.responder import Responder
from guest.ethernet import mac_bytes
from tests.fuzz import mutations, wire
from tests.fuzz.virtual_machine import REFUSED
from tests.samples import CALICO, FLAT, vmi

_EVERY_KEY = {
    "provider": "in-pod", "ipv4": "dhcp", "ipv6": "both", "mtu": 1400, "lease": 3600,
    "addresses": ["10.0.0.5/24", "fd00::5/64"], "gateways": ["10.0.0.1", "fe80::1"],
    "dns": ["10.96.0.10", "fd00::a"], "search": ["example.org"], "ntp": ["10.0.0.1"],
    "routes": [{"to": "10.1.0.0/16", "via": "10.0.0.1"}, "fd01::/64"], "defaultRoute": True,
    "hostname": "vm1", "shield": False, "pref64": "64:ff9b::/96", "ipv6Only": 1800,
    "captivePortal": "https://portal.example.org/",
    "boot": {"file": "a", "server": "10.0.0.9", "url": "http://[fd00::1]/x", "byArch": {"7": "b"}},
}  # fmt: skip
SEEDS = [
    *(json.dumps({key: value}).encode() for key, value in _EVERY_KEY.items()),
    json.dumps(_EVERY_KEY).encode(),
    b"{}",
]
_FRAMES = wire.stored("v4", "v6", "ra")
_ASKS = [next(f for f in _FRAMES if f[12:14] == kind) for kind in (b"\x08\0", b"\x86\xdd")]
_ASKS.append(next(frame for frame in _FRAMES if frame[54:55] == b"\x85"))


def run(data: bytes) -> None:
    """Refuse with a reason, or make a guest that can be answered."""
    text = data.decode(errors="surrogateescape")
    for pod in (FLAT, CALICO):
        try:
            annotation.parse_defaults(text)
            instance = vmi("01-single-binding", {"dsbridge.io/default": text})
            found = guests.guests(
                pod, instance, {}, plugin="dsbridge", defaults=annotation.Override()
            )
            contradiction.refuse(found.guests, pod)
        except REFUSED as error:
            assert 0 < len(str(error)) < 2000, str(error)[:300]
            return
        (guest,) = found.guests
        responder = Responder(guest, 0.0)
        for frame in _ASKS:
            asked = frame.replace(frame[6:12], mac_bytes(guest.mac))
            responder.from_guest(asked, 1.0, partial_checksum=True)
        responder.due(3.0)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change keys and values; now and then the whole set of keys."""
    return mutations.json_text(data if rng.randrange(6) else SEEDS[-2], rng)
