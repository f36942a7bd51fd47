"""Judges whether a guest was told its IPv6 router. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import Asked, Finding, GuestStatus
from binding.operator.look import Look
from binding.operator.protocols import KINDS
from binding.operator.remedies import finding, ok
from binding.operator.traffic import Traffic


def judge_router(guest: GuestStatus, look: Look) -> Iterator[Finding]:
    """Yield whether the guest has a router and, where only that gives it an address, why not."""
    asked, traffic = guest.asked.get("RS", Asked()), look.traffic_of(guest)
    if guest.told is not None and guest.told.gateway6 is None and guest.router is None:
        return
    speaks = any(one.version == 6 for one in traffic.sources.values())
    is_slaac = guest.modes.ipv6 == "slaac"
    if is_slaac and "RS" not in guest.asked and not (guest.arrived or speaks):
        text = "no RS: the guest does not ask for a router, so it lacks"
        yield finding("harm", f"{text} {', '.join(guest.ipv6)}", "no-rs")
        return
    is_told = guest.counters.get("RA")
    if is_told:
        last = asked.answer or guest.last.get("RA")
        text = "the guest has been told its IPv6 router by RA"
        yield ok(text, time=last.time if last else "")
    if _lacks_router(guest, traffic):
        text = "DHCPv6, but no RS: does the guest accept router advertisements?"
        yield finding("warning", text, "no-rs")
    elif asked.silence is not None and not is_told and not guest.arrived:
        text = f"RS gets no answer: {asked.silence.note}"
        yield finding("harm", text, "silence", time=asked.silence.time)


def _lacks_router(guest: GuestStatus, traffic: Traffic) -> bool:
    """Say whether a guest asks DHCPv6, but for no router, and shows none that it knows.

    A client such as networkd sends no RS where an RA of ours came before. It shows the router by
    what it sends beyond its link, or by asking for the router's MAC.
    """
    if "RS" in guest.asked or guest.arrived or traffic.has_router:
        return False
    asks = any(kind in guest.asked for kind in KINDS["ipv6"])
    return asks and not (guest.router and guest.router.address in traffic.wanted)
