"""Compares the pod's links with what the guests need, for their status pages."""

from __future__ import annotations

from binding.ipc.wiring import Wiring
from binding.sidecar.faults import PodLinks, faults
from binding.sidecar.status import StatusPages
from guest.network import GuestNetwork


def judge(
    pages: StatusPages,
    pod: PodLinks,
    guests: tuple[GuestNetwork, ...],
    wirings: tuple[Wiring, ...],
) -> None:
    """Write what is wrong with the links of guests on their pages."""
    placeholders = {one.names.tap: one.names.pod for one in wirings}
    for guest in guests:
        pages.fault(guest.network, faults(guest, pod, placeholders.get(guest.tap, "")))
