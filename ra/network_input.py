"""What the pod network says of the gateways: ARP and NA frames heard on the pod NIC. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from guest.ethernet import is_unicast, mac_text
from guest.exchange import Exchange
from guest.frame import parse
from guest.network import OUR_MAC, GuestNetwork
from ra import arp, former_router, neighbor
from ra.advance import advance
from ra.announcement import unsolicited_na
from ra.resolve import Claim, Neighbor
from ra.state import Outcome, State

_Place = Literal["gateway4", "gateway6", "probe"]
_PLACES: tuple[_Place, ...] = ("gateway4", "gateway6", "probe")


def from_network(state: State, guest: GuestNetwork, frame: bytes, now: float) -> Outcome:
    """Learn from an ARP or NA frame, heard on the pod NIC, where the gateways are."""
    source = mac_text(frame[6:12])
    if len(frame) < 14 or source in (guest.mac, OUR_MAC) or not is_unicast(source):
        return state, ()
    packet = parse(frame)
    claim = arp.parse(frame) if packet is None else neighbor.parse_na(packet)
    if claim is None or claim.lladdr == guest.mac:
        return state, ()
    state = replace(
        state, former_routers=former_router.answered(state.former_routers, claim.address)
    )
    state, actions = _heard(state, claim, now)
    state, more = advance(state, guest, now)
    return state, actions + more


def _heard(state: State, claim: Claim, now: float) -> Outcome:
    for place in _PLACES:
        before: Neighbor | None = getattr(state, place)
        if before is None or before.address != claim.address or _is_foreign(state, place, claim):
            continue
        after = before.heard(claim, now)
        state = _with(state, place, after)
        if before.lladdr is not None and after.lladdr != before.lladdr:
            return _moved(state, place, before.lladdr, now)
        return state, _refuted(before, after)
    return state, ()


def _is_foreign(state: State, place: _Place, claim: Claim) -> bool:
    """Say whether the EUI-64 address is claimed by a MAC that is not the gateway's."""
    probe, gateway = state.probe, state.gateway6
    is_unknown = place == "probe" and probe is not None and probe.lladdr is None
    return is_unknown and gateway is not None and claim.lladdr != gateway.lladdr


def _refuted(before: Neighbor, after: Neighbor) -> tuple[Exchange, ...]:
    """Name a claimant, once the MAC that is known has said that it still has the address."""
    check = before.check
    if check is None or after.check is not None or not check.asked:
        return ()
    note = (
        f"{check.lladdr} claims {before.address}, but {before.lladdr} still answers for it: "
        "the guest is not told"
    )
    return (Exchange("", note=note, warning="refuted"),)


def _moved(state: State, place: _Place, former: str, now: float) -> Outcome:
    """Tell the guest, and see whether the gateway's other addresses have moved along."""
    actions: tuple[Exchange, ...] = ()
    moved: Neighbor = getattr(state, place)
    lladdr, router = moved.lladdr, state.router
    if lladdr is None:
        return state, ()
    if place == "gateway4":
        state = replace(state, tell4=True)
    if place == "gateway6" and router is not None and router.source == "eui64":
        probe = state.probe
        if probe is not None and probe.lladdr == former:
            # Until it is known which router follows, its address leads to the gateway's new MAC.
            probe, router = probe.suspect(lladdr, now, at_once=True), replace(router, lladdr=lladdr)
            state = replace(state, probe=probe, router=router)
            actions = (unsolicited_na(router),)
    others: tuple[_Place, ...] = ("gateway4", "gateway6")
    for other in others:
        beside: Neighbor | None = getattr(state, other)
        if beside is not None and beside.lladdr == former:  # it was the same machine
            state = _with(state, other, beside.suspect(lladdr, now))
    return state, actions


def _with(state: State, place: _Place, known: Neighbor) -> State:
    if place == "gateway4":
        return replace(state, gateway4=known)
    return replace(state, gateway6=known) if place == "gateway6" else replace(state, probe=known)
