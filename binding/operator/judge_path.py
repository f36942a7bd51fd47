"""Judges whether frames come through between a guest and its network, by what was seen of them.

Pure. It holds whatever keeps the frames back, also what nobody has thought of.
"""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import Finding, GuestStatus
from binding.operator.look import Look
from binding.operator.remedies import REMEDIES, finding


def judge_path(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield a finding for each direction in which nothing comes through."""
    traffic = look.traffic_of(guest)
    remedy = REMEDIES["held-inside"].replace("TAP", guest.tap).replace("NIC", guest.nic)
    if traffic.stays_inside:
        text = f"what the guest sends comes in by {guest.tap} and does not leave by {guest.nic}"
        seen = " and ".join(f"{traffic.told[kind]} {kind}" for kind in traffic.stays_inside)
        seen = f"{seen} at {guest.tap}, 0 at {guest.nic}"
        yield finding("harm", text, "held-inside", evidence=seen, remedy=remedy)
    elif outside := ", ".join(traffic.stays_outside):
        text = f"what gateway {outside} answers the guest comes in by {guest.nic}"
        text += f" and does not go out by {guest.tap}"
        yield finding("harm", text, "held-inside", remedy=remedy)
