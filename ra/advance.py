"""What is to be sent for one guest's router and gateways as soon as its state allows it. Pure.

Each function that `advance` runs, after every input, returns the state with what is to be sent.
"""

from __future__ import annotations

import math
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from guest.ethernet import group_mac
from guest.exchange import Exchange
from guest.network import OUR_LINK_LOCAL, GuestNetwork
from ra import advert, arp, former_router, neighbor
from ra.announcement import told, unsolicited_na, withdrawal
from ra.gateway import Router, decide, eui64, may_be_eui64
from ra.message import ALL_NODES, UNSPECIFIED
from ra.resolve import Neighbor
from ra.schedule import BETWEEN_MULTICASTS, Schedule
from ra.state import Action, Outcome, Solicit, State, virtual_lladdr

DECISION = 0.3
"""Seconds that an RA waits for the gateway; RFC 4861 section 6.2.6 allows 0.5."""
_MOST_WITHDRAWN = 3


def advance(state: State, guest: GuestNetwork, now: float) -> Outcome:
    """Do everything that is possible or due now."""
    actions: tuple[Action, ...] = ()
    for step in (
        _resolve,
        _probe,
        _resolve,
        _choose,
        _correct_caches,
        _answer_ns,
        _answer_rs,
        _multicast,
        _withdraw_all,
        _doubt_routers_in_use,
        _end_former_routers,
    ):
        state, more = step(state, guest, now)
        actions += more
    return state, actions


def _probe(state: State, guest: GuestNetwork, now: float) -> Outcome:
    """Look for the EUI-64 address of the gateway's MAC, and of its next MAC when it moved."""
    gateway, probe = state.gateway6, state.probe
    if not (state.active and gateway and gateway.lladdr and may_be_eui64(guest)):
        return state, ()
    address = eui64(gateway.lladdr)
    if probe is not None and (
        probe.address == address or probe.lladdr == gateway.lladdr or probe.check is not None
    ):
        return state, ()
    sought = Neighbor(address, tried=probe.tried if probe else -math.inf).ask()
    return replace(state, probe=sought, decide_by=state.decide_by or now + DECISION), ()


def _resolve(state: State, guest: GuestNetwork, now: float) -> Outcome:
    """Ask on the pod NIC as the guest itself would: CNIs know it by MAC and address."""
    if not state.active:
        return state, ()
    gateway4, first = _ask(state.gateway4, guest, now)
    gateway6, second = _ask(state.gateway6, guest, now)
    probe, third = _ask(state.probe, guest, now)
    after = replace(state, gateway4=gateway4, gateway6=gateway6, probe=probe)
    return (state if after == state else after), first + second + third


def _ask(
    known: Neighbor | None, guest: GuestNetwork, now: float
) -> tuple[Neighbor | None, tuple[Action, ...]]:
    if known is None:
        return None, ()
    known, whom = known.due(now)
    target = known.address
    questions: list[Action] = []
    for mac in whom:
        if isinstance(target, IPv4Address):
            frame = arp.request(guest.mac, guest.ipv4[0].ip, target, mac)
        else:
            frame = neighbor.solicit(guest.mac, guest.ipv6[0].ip, target, mac)
        note = f"does {mac} have {target}" if mac else f"who has {target}"
        questions.append(Solicit(frame, note))
    return known, tuple(questions)


def _choose(state: State, guest: GuestNetwork, now: float) -> Outcome:
    if not state.active or not guest.gets_ipv6:
        return state, ()
    router, before = decide(guest, state.gateway6, state.probe), state.router
    if _may_change(state, router, now) or (before == router and state.decide_by is None):
        return state, ()
    state = replace(state, decide_by=None, router=router)
    if before is None:
        # dsbridge on the former node may have announced the virtual router to it.
        virtual = [Router(OUR_LINK_LOCAL, router.lladdr, "virtual")]
        routers = (*state.withdrawn, *(virtual if guest.migration_target else ()))
        state = replace(
            state, withdrawn=tuple(one for one in routers if one.address != router.address)
        )
    if before is None or before == router:
        return state, ()
    if before.address == router.address:
        # A MAC that was unknown is in no cache of the guest, so there is nothing to correct.
        moved = before.lladdr is not None
        schedule = state.schedule.later(now, "gateway changed" if moved else "gateway resolved")
        return replace(state, tell6=state.tell6 or moved, schedule=schedule), ()
    former = [r for r in state.withdrawn if r.address not in (before.address, router.address)]
    if state.announced:
        former.append(before)
    return replace(
        state,
        announced=False,
        withdrawn=tuple(former[-_MOST_WITHDRAWN:]),
        schedule=state.schedule.later(now, "router changed"),
    ), ()


def _may_change(state: State, router: Router, now: float) -> bool:
    """Say whether an answer that is waited for may show another router than this one."""
    before, check = state.router, state.probe.check if state.probe else None
    if before is not None and check is not None and check.lladdr == before.lladdr:
        return True  # the gateway has moved, and is asked for the router's address
    follows = before is not None and before.source == "virtual" and before.lladdr is not None
    waits = state.decide_by is not None and now < state.decide_by
    return waits and router.source == "virtual" and not follows


def _correct_caches(state: State, _: GuestNetwork, _now: float) -> Outcome:
    """Correct the MACs in the guest's caches, at its tap only."""
    actions: list[Action] = []
    gateway, router = state.gateway4, state.router
    if state.tell4 and gateway and gateway.lladdr and isinstance(gateway.address, IPv4Address):
        frame = arp.gratuitous(gateway.address, gateway.lladdr)
        note = f"gateway {gateway.address} is at {gateway.lladdr}"
        actions.append(Exchange("", "ARP", frame, note))
        state = replace(state, tell4=False)
    if state.tell6 and router and router.lladdr:
        actions.append(unsolicited_na(router))
        state = replace(state, tell6=False)
    return state, tuple(actions)


def _answer_ns(state: State, guest: GuestNetwork, _now: float) -> Outcome:
    lladdr = virtual_lladdr(state, guest)
    if state.ns is None or lladdr is None:
        return state, ()
    frame = neighbor.advertise(OUR_LINK_LOCAL, lladdr, (state.ns, guest.mac))
    note = f"{OUR_LINK_LOCAL} is at {lladdr}"
    return replace(state, ns=None), (Exchange("NS", "NA", frame, note),)


def _answer_rs(state: State, guest: GuestNetwork, now: float) -> Outcome:
    if state.rs is None or state.router is None:
        return state, ()
    source, router = state.rs, state.router
    schedule: Schedule | None
    if source == UNSPECIFIED:
        if now < state.schedule.last + BETWEEN_MULTICASTS:
            state = replace(state, rs=None, schedule=state.schedule.sooner(now))
            return state, (Exchange("RS", note="answered by the next RA to all nodes"),)
        to, schedule = ALL_NODES, state.schedule.multicast(now)
    else:
        to, schedule = source, state.schedule.unicast(now)
    if schedule is None:
        return replace(state, rs=None), (Exchange("RS", note="too many"),)
    frame = _advertisement(state, guest, router, (to, guest.mac))
    state = replace(state, rs=None, schedule=schedule, announced=True)
    return state, (Exchange("RS", "RA", frame, told(state.router, has_default=state.has_default)),)


def _advertisement(
    state: State, guest: GuestNetwork, router: Router, to: tuple[IPv6Address, str]
) -> bytes:
    deprecate = state.schedule.initial > 0
    return advert.advertisement(guest, router, to, deprecate=deprecate, ended=state.ended)


def _multicast(state: State, guest: GuestNetwork, now: float) -> Outcome:
    due = state.schedule.at
    if not state.active or state.router is None or due is None or now < due:
        return state, ()
    frame = _advertisement(state, guest, state.router, (ALL_NODES, group_mac(ALL_NODES)))
    note = f"{state.schedule.reason}: {told(state.router, has_default=state.has_default)}"
    actions = [Exchange("", "RA", frame, note)]
    # The new router is announced first: without any router a guest drops its connections.
    actions += [withdrawal(guest, former, state.ended) for former in state.withdrawn]
    state = replace(state, schedule=state.schedule.multicast(now), announced=True)
    if not state.schedule.initial:
        state = replace(state, withdrawn=(), ended=())
    return state, tuple(actions)


def _doubt_routers_in_use(state: State, guest: GuestNetwork, now: float) -> Outcome:
    """Take the router that the guest sends to for a former one, unless it is the gateway here."""
    if not state.sends_to or state.router is None or state.router.lladdr is None:
        return state, ()
    known, macs = state.former_routers, set(state.sends_to) - {state.router.lladdr}
    for mac in sorted(macs):
        known = former_router.sought(known, guest, eui64(mac), state.routers, now)
    return replace(state, former_routers=known, sends_to=()), ()


def _end_former_routers(state: State, guest: GuestNetwork, now: float) -> Outcome:
    here = state.routers if state.may_end_former else None
    known, asked, ended = former_router.due(state.former_routers, now, here)
    if known == state.former_routers:
        return state, ()
    own = guest.ipv6[0].ip
    asks = [Solicit(neighbor.solicit(guest.mac, own, one), f"who has {one}") for one in asked]
    ends = [withdrawal(guest, Router(one, None, "pod"), state.ended) for one in ended]
    return replace(state, former_routers=known), (*asks, *ends)


def _withdraw_all(state: State, guest: GuestNetwork, _now: float) -> Outcome:
    """Withdraw the routers of a guest whose IPv6 was turned off: it gets no other RA."""
    if not state.active or not state.withdrawn or guest.gets_ipv6:
        return state, ()
    actions = tuple(withdrawal(guest, former, state.ended) for former in state.withdrawn)
    return replace(state, withdrawn=(), ended=()), actions
