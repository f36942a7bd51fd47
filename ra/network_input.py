"""What the pod NIC says of the gateways: ARP and NA frames that come from the network. Pure."""

from __future__ import annotations

from dataclasses import replace

from guest.ethernet import mac_text
from guest.frame import parse
from guest.network import OUR_MAC, GuestNetwork
from ra import arp, neighbor
from ra.gateway import eui64
from ra.message import is_unicast
from ra.resolve import Neighbor
from ra.state import DECISION, State, Step, advance, unsolicited_na


def from_network(state: State, guest: GuestNetwork, frame: bytes, now: float) -> Step:
    """Learn from an ARP or NA frame, heard on the pod NIC, where the gateways are."""
    source = mac_text(frame[6:12])
    if len(frame) < 14 or source in (guest.mac, OUR_MAC) or not is_unicast(source):
        return state, ()
    if (said := arp.parse(frame)) is not None:
        if said.lladdr != guest.mac:
            state = _heard4(state, said)
        return advance(state, guest, now)
    packet = parse(frame)
    said6 = None if packet is None else neighbor.parse_na(packet)
    if said6 is None or said6.lladdr == guest.mac:
        return state, ()
    state, actions = _heard6(state, said6, now)
    state, more = advance(state, guest, now)
    return state, actions + more


def _heard4(state: State, said: arp.Said) -> State:
    gateway = state.gateway4
    if gateway is None or gateway.address != said.address:
        return state
    moved = gateway.lladdr not in (None, said.lladdr)
    state = replace(state, gateway4=gateway.heard(said.lladdr), tell4=state.tell4 or moved)
    if moved and state.gateway6 and state.gateway6.lladdr == gateway.lladdr:
        state = replace(state, gateway6=state.gateway6.ask())  # it was the same machine
    return state


def _heard6(state: State, said: neighbor.Advertised, now: float) -> Step:
    if _took_along(state, said):
        return replace(state, probe=Neighbor(said.target, said.lladdr)), ()
    gateway, probe = state.gateway6, state.probe
    if probe is not None and said.target == probe.address:
        known = probe.lladdr or (gateway.lladdr if gateway else None)
        if said.lladdr == known or (probe.lladdr and said.override):
            state = replace(state, probe=probe.heard(said.lladdr))
        return state, ()
    if gateway is None or said.target != gateway.address:
        return state, ()
    moved = gateway.lladdr not in (None, said.lladdr)
    if moved and not said.override and not gateway.doubtful:
        return state, ()  # RFC 4861 section 7.2.5: without O the cached one stays
    state = replace(state, gateway6=gateway.heard(said.lladdr))
    if not moved:
        return state, ()
    if state.gateway4 and state.gateway4.lladdr == gateway.lladdr:
        state = replace(state, gateway4=state.gateway4.ask())  # it was the same machine
    return _moved(state, said.lladdr, now)


def _took_along(state: State, said: neighbor.Advertised) -> bool:
    """Say whether the router, looked for at its new MAC, still has the address it had."""
    gateway, probe, told = state.gateway6, state.probe, state.router
    return (
        probe is not None
        and gateway is not None
        and told is not None
        and told.source == "eui64"
        and probe.address != told.address == said.target
        and said.lladdr == gateway.lladdr
    )


def _moved(state: State, lladdr: str, now: float) -> Step:
    """Follow a gateway to its new MAC where that gives it another EUI-64 address."""
    probe, told = state.probe, state.router
    if probe is None or (told is not None and told.source != "eui64"):
        return state, ()
    if probe.lladdr == lladdr:
        return state, ()  # it took its former address along
    probe = Neighbor(eui64(lladdr), tried=probe.tried).ask()
    state = replace(state, probe=probe)
    if told is None:
        return state, ()
    # Until the new address is decided, the old one leads to the new MAC: no packet is lost.
    state = replace(state, decide_by=now + DECISION)
    return state, (unsolicited_na(replace(told, lladdr=lladdr)),)
