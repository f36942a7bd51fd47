"""Answers a made-up boot once, so that scapy has built its tables before the guest's first request.

scapy builds them with the first message of each kind, which takes milliseconds, and a guest that
boots asks for each kind once. Pure.
"""

from __future__ import annotations

from dataclasses import replace

from binding.ipc.codec import plain
from binding.serve import network_probe
from binding.serve.responder import Responder
from guest.network import GuestNetwork
from ra import neighbor

_ASKED4 = (1, 3, 6, 12, 15, 26, 28, 42, 51, 54, 119, 121)
_ASKED6 = (23, 24, 31, 39, 56)
"""What most clients ask for."""


def warm_up(guest: GuestNetwork) -> None:
    """Answer the requests of a boot; the answers go nowhere."""
    stand_in = Responder(replace(guest, provider="in-pod", migration_target=False), 0.0)
    for now, frame in enumerate(requests(guest)):
        stand_in.from_guest(frame, float(now))
    plain(stand_in.service and stand_in.service.ra_state)


def requests(guest: GuestNetwork) -> tuple[bytes, ...]:
    """Return DISCOVER, RS and SOLICIT."""
    discover = network_probe.discover(guest, _ASKED4)
    solicit = network_probe.solicit(guest, _ASKED6)
    return discover, neighbor.router_solicitation(guest.mac), solicit
