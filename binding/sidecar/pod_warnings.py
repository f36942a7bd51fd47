"""Warnings about guests that are served, but not as they should be; each is taken back in time."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from binding.ipc.wiring import Wiring
from binding.process import capabilities
from binding.sidecar.faults import PodLinks, faults
from binding.sidecar.status import StatusPages
from guest.network import GuestNetwork

_POLICY = capabilities.remedy()
_LEFT = (
    "another dsbridge in this pod has {0}, so this one leaves {0} to it: remove one of the two, "
    "such as `sidecarImage` of a registration beside the structured plugin"
)


def unguarded(pages: StatusPages, guests: Iterable[GuestNetwork], reason: str) -> None:
    """Warn that the guard is off, and of what that lets through; without a reason it is on."""
    if reason and "NET_ADMIN" not in capabilities.permitted():
        reason = f"{reason}; {_POLICY}"
    for guest in guests:
        what = "requests leave the pod and other servers may answer"
        if guest.shape == "takeover":
            what = "KubeVirt's own DHCP server goes on answering, and others may"
        pages.find(guest.network, "guard", f"guard off, {what}: {reason}" if reason else "")


def link_faults(
    pages: StatusPages,
    guests: Iterable[GuestNetwork],
    wirings: Iterable[Wiring],
    pod: PodLinks,
) -> None:
    """Warn of what is wrong with the links of the pod now."""
    placeholders = {one.names.tap: one.names.pod for one in wirings}
    gateways = {page.guest.network: page.gateways for page in pages.opened()}
    for guest in guests:
        about = placeholders.get(guest.tap, ""), gateways.get(guest.network)
        pages.fault(guest.network, faults(guest, pod, *about))


def left_to_others(
    pages: StatusPages, guests: Iterable[GuestNetwork], others: Collection[str]
) -> None:
    """Warn of the taps that another dsbridge of this pod serves."""
    for guest in guests:
        text = _LEFT.format(guest.tap) if guest.tap in others else ""
        pages.find(guest.network, "other dsbridge", text)
