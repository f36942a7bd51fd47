"""How RS and NS of a guest, and time, change its state. Pure.

Each function takes the state, the guest, a frame and `now` (monotonic seconds), and returns the
next state with what is to be sent.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address

from guest.ethernet import ICMPV6, NEIGHBOR_SOLICITATION, ROUTER_SOLICITATION
from guest.exchange import FROM_OTHER_MAC, Exchange
from guest.frame import Packet
from guest.network import OUR_LINK_LOCAL, OUR_MAC, Address, GuestNetwork
from ra import former_router, neighbor
from ra.advance import DECISION, advance
from ra.advert import ended_options
from ra.gateway import Router, has_default, may_be_eui64
from ra.message import UNSPECIFIED
from ra.resolve import Neighbor
from ra.schedule import INITIAL_SHORTEST, begin
from ra.state import Action, Outcome, State, virtual_lladdr


def start(guest: GuestNetwork, now: float) -> State:
    """Return the state of a guest that has not been heard.

    A guest that is not a migration target is taken to be there after one RA interval: after a
    restart of serve it may send nothing for days, while its route expires in 18 h.
    """
    unheard = now if guest.gets_ipv6 and not guest.migration_target else None
    return State(
        begin(f"{guest.mac} {guest.network}", unheard, guest.lease),
        gateway4=_gateway(guest, guest.gateway4 if guest.gets_ipv4 else None),
        gateway6=_gateway(guest, guest.gateway6 if guest.gets_ipv6 else None),
        has_default=has_default(guest),
    )


def follow(state: State, guest: GuestNetwork, former: GuestNetwork, left: State) -> State:
    """Return the new state of a guest that was configured by the GuestNetwork `former` until now.

    `left` is the state that it had as `former`. The first RAs end what no longer holds of that.
    """
    routers = left.withdrawn
    if left.router is not None and left.announced:
        routers = (*routers, left.router)
    return replace(state, withdrawn=routers, ended=ended_options(former, guest))


def _gateway(guest: GuestNetwork, address: Address | None) -> Neighbor | None:
    if address is None:
        return None
    permanent = dict(guest.permanent_neighbors).get(address)
    return Neighbor(address, permanent or guest.lladdr(address), permanent=permanent is not None)


def router(state: State) -> Router | None:
    """Return the default router that the guest is told, once that is decided."""
    return state.router if state.has_default else None


def gateways(state: State) -> tuple[tuple[Address, str], ...]:
    """Return the gateways and the router whose MAC is known and may change."""
    known = [one for one in (state.gateway4, state.gateway6) if one is not None]
    found = {one.address: one.lladdr for one in known}
    if state.router is not None and state.router.source != "virtual":
        found[state.router.address] = state.router.lladdr
    permanent = {one.address for one in known if one.permanent}
    return tuple((a, mac) for a, mac in found.items() if mac is not None and a not in permanent)


def wake_at(state: State) -> float | None:
    """Return when `due` must be called; None: not before the next frame."""
    times = [] if state.active and state.router is None else [state.schedule.at]
    if state.active:
        asked = (state.gateway4, state.gateway6, state.probe)
        times += [state.decide_by, *(one.wake_at for one in asked if one is not None)]
        if state.may_end_former:
            times += [one.wake_at for one in state.former_routers]
    return min((at for at in times if at is not None), default=None)


def due(state: State, guest: GuestNetwork, now: float) -> Outcome:
    """Send what is due by now."""
    at = state.schedule.at
    if not state.active and at is not None and at <= now:
        state = _appear(state, guest, now)
    return advance(state, guest, now)


def from_guest(state: State, guest: GuestNetwork, packet: Packet | None, now: float) -> Outcome:
    """Answer an RS or NS; None stands for any other frame of the guest."""
    if packet is None:
        return advance(_appear(state, guest, now), guest, now)
    if packet.protocol != ICMPV6:
        return state, ()
    if packet.payload[0] == ROUTER_SOLICITATION:
        return _router_solicitation(state, guest, packet, now)
    if packet.payload[0] == NEIGHBOR_SOLICITATION:
        return _neighbor_solicitation(state, guest, packet, now)
    return state, ()


def sends_to(state: State, guest: GuestNetwork, mac: str, now: float) -> Outcome:
    """Take note of the MAC to which a guest that came by migration sends what is for other links.

    It is that of the guest's router, which may be the one of its former node.
    """
    if not (guest.migration_target and guest.gets_ipv6):
        return state, ()
    state = replace(_appear(state, guest, now), sends_to=(*state.sends_to, mac))
    return advance(state, guest, now)


def answer_basis(state: State) -> tuple[object, ...]:
    """Return the part of a state that answers to the guest's solicitations depend on."""
    gateway = state.gateway6
    deprecates = state.schedule.initial > 0
    return state.router, state.withdrawn, state.ended, gateway and gateway.lladdr, deprecates


def may_repeat_ra(state: State) -> bool:
    """Say whether the RA of the last RS answers another, as long as `answer_basis` is equal."""
    waits = state.rs is not None or state.ns is not None
    return state.active and not waits and _seek(state) is state


def repeatable(
    states: tuple[State, State], guest: GuestNetwork, packet: Packet, asked: tuple[bytes, ...]
) -> bool:
    """Say whether an equal solicitation may be answered with the same frame again.

    `states` are those before and after the solicitation, `asked` the frames that were sent to the
    pod NIC with its answer.
    """
    if packet.src == UNSPECIFIED:
        return False
    if packet.payload[0] == ROUTER_SOLICITATION:
        # Deprecated prefixes are in the first RAs only, and those end while no `serve` runs.
        ends = guest.deprecated or states[0].ended
        return not (ends and any(state.schedule.initial for state in states))
    gateway = states[1].gateway6
    if gateway is None or gateway.permanent or neighbor.ns_target(packet) != OUR_LINK_LOCAL:
        return True
    if virtual_lladdr(states[1], guest) != gateway.lladdr:
        return True  # it is the DHCPv6 server's MAC, not the gateway's
    # Repeated without its question, an NA would hide a dead gateway from the guest's NUD.
    return neighbor.solicit(guest.mac, guest.ipv6[0].ip, IPv6Address(gateway.address)) in asked


def _router_solicitation(state: State, guest: GuestNetwork, packet: Packet, now: float) -> Outcome:
    source, wrong = IPv6Address(packet.src), neighbor.rs_fault(packet)
    if packet.src_mac != guest.mac:
        wrong = f"{FROM_OTHER_MAC}, {packet.src_mac}"
    if wrong:
        return state, (Exchange("RS", note=wrong),)
    state = _appear(state, guest, now, soliciting=True)
    if not guest.gets_ipv6:
        state, actions = advance(state, guest, now)
        return state, (Exchange("RS", note="no IPv6 for this guest"), *actions)
    refused: tuple[Action, ...] = ()
    if state.rs is not None:
        refused = (Exchange("RS", note="answered with the one before it"),)
    state, actions = advance(_seek(replace(state, rs=source)), guest, now)
    return state, refused + actions


def _neighbor_solicitation(
    state: State, guest: GuestNetwork, packet: Packet, now: float
) -> Outcome:
    """Answer for our own link-local address and for the pod's permanent neighbours."""
    target = neighbor.ns_target(packet)
    if packet.src_mac != guest.mac or target is None:
        return state, ()
    permanent = dict(guest.permanent_neighbors).get(target)
    if permanent is None and not (guest.gets_ipv6 and target == OUR_LINK_LOCAL):
        return _of_former_node(state, guest, target, packet, now)
    state = _appear(state, guest, now)
    if packet.src == UNSPECIFIED:
        lladdr = permanent or virtual_lladdr(state, guest) or OUR_MAC
        exchange = Exchange(
            "NS",
            "NA",
            neighbor.advertise(target, lladdr),
            f"the guest tries {target}, which is not its own, for itself",
            warning="own-router",
        )
    elif permanent is not None:
        is_router = target == guest.gateway6
        to = IPv6Address(packet.src), guest.mac
        frame = neighbor.advertise(target, permanent, to, is_router=is_router)
        exchange = Exchange("NS", "NA", frame, f"{target} is at {permanent}")
    else:
        return _virtual(state, guest, IPv6Address(packet.src), now)
    state, actions = advance(state, guest, now)
    return state, (exchange, *actions)


def _of_former_node(
    state: State, guest: GuestNetwork, target: IPv6Address, packet: Packet, now: float
) -> Outcome:
    """Look for a router that the guest asks for, and that may be of the node that it came from."""
    if packet.src == UNSPECIFIED:  # its own address, before it uses it
        return state, ()
    known = former_router.sought(state.former_routers, guest, target, state.routers, now)
    if known == state.former_routers:
        return state, ()
    state = replace(_appear(state, guest, now), former_routers=known)
    return advance(state, guest, now)


def _virtual(state: State, guest: GuestNetwork, source: IPv6Address, now: float) -> Outcome:
    """Answer for our own link-local address: the virtual router's, and the DHCPv6 server's."""
    gateway, waits = state.gateway6, tuple[Action, ...]()
    lladdr = virtual_lladdr(state, guest)
    if lladdr is None:
        waits = (Exchange("NS", note="the gateway's MAC is not known yet"),)
    elif gateway is not None and lladdr == gateway.lladdr:
        # We answer in the gateway's place, so the guest's NUD would never notice a fail-over: for
        # each NUD probe the gateway is asked, too, at most once a second.
        state = replace(state, gateway6=gateway.ask())
    state, actions = advance(_seek(replace(state, ns=source)), guest, now)
    return state, waits + actions


def _seek(state: State) -> State:
    """Ask for a gateway's MAC that is not known, unless the guest asks for that gateway itself."""
    gateway = state.gateway6
    if gateway is None or gateway.lladdr is not None or _is_pod(state):
        return state
    return replace(state, gateway6=gateway.ask())


def _is_pod(state: State) -> bool:
    return state.router is not None and state.router.source == "pod"


def _appear(state: State, guest: GuestNetwork, now: float, *, soliciting: bool = False) -> State:
    """Note that the guest has been heard; from now on its gateways may be asked for."""
    if state.active:
        return state
    gateway4, gateway6 = state.gateway4, state.gateway6
    if gateway4 is not None and gateway4.lladdr is None:
        gateway4 = gateway4.ask()
    # Its RS gets an answer of its own; the series for all nodes follows.
    delay = INITIAL_SHORTEST if soliciting else 0.0
    schedule = state.schedule
    if guest.gets_ipv6:
        schedule = schedule.later(now, "guest appeared", delay)
    if gateway6 is not None and gateway6.lladdr is None:
        gateway6 = gateway6.ask()
    return replace(
        state,
        active=True,
        gateway4=gateway4,
        gateway6=gateway6,
        decide_by=now + DECISION if may_be_eui64(guest) else None,
        schedule=schedule,
        # It has cached the MACs of the gateways on its former node.
        tell4=state.tell4 or guest.migration_target,
        tell6=state.tell6 or guest.migration_target,
    )
