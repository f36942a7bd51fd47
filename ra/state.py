"""What serve remembers of one guest's router and gateways. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address

from guest.exchange import Exchange
from guest.network import OUR_MAC, GuestNetwork
from ra import former_router
from ra.gateway import Router, has_default
from ra.resolve import Neighbor
from ra.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Solicit:
    """A frame for the pod NIC: a question about a gateway of a guest that has been heard."""

    frame: bytes
    note: str = ""


Action = Exchange | Solicit


@dataclass(frozen=True, slots=True)
class State:
    """All that serve remembers of one guest; a restart that loses it does no harm."""

    schedule: Schedule
    gateway4: Neighbor | None = None
    gateway6: Neighbor | None = None
    probe: Neighbor | None = None
    """The EUI-64 link-local address of gateway6's MAC, while it may be the router."""
    active: bool = False
    """The guest has been heard."""
    has_default: bool = False
    decide_by: float | None = None
    """Until then no virtual router is announced: the gateway may answer for its EUI-64 address."""
    router: Router | None = None
    announced: bool = False
    """An RA of `router` has been sent."""
    withdrawn: tuple[Router, ...] = ()
    """Former routers; each multicast RA of the present series is followed by their end."""
    ended: tuple[bytes, ...] = ()
    """RA options that end what the guest was told before; each RA of the series has them."""
    former_routers: former_router.Known = ()
    """Routers of its former node that a guest which came by migration has asked for, or uses."""
    sends_to: tuple[str, ...] = ()
    """MACs of the routers that such a guest sends to, until the router here is known."""
    rs: IPv6Address | None = None
    """The source of an RS that is answered once the router is decided."""
    ns: IPv6Address | None = None
    """The source of an NS for OUR_LINK_LOCAL that is answered once the gateway's MAC is known."""
    tell4: bool = False
    """The guest must be told the IPv4 gateway's MAC: it may have cached another."""
    tell6: bool = False
    """The guest must be told the router's MAC: it may have cached another."""

    @property
    def routers(self) -> set[IPv6Address]:
        """The router, and the gateway that it may stand for."""
        return {IPv6Address(o.address) for o in (self.router, self.gateway6, self.probe) if o}

    @property
    def may_end_former(self) -> bool:
        """Whether the guest has another router, at a MAC that is known."""
        return self.announced and self.router is not None and self.router.lladdr is not None


Outcome = tuple[State, tuple[Action, ...]]


def virtual_lladdr(state: State, guest: GuestNetwork) -> str | None:
    """Return the MAC that the guest is told for OUR_LINK_LOCAL; None while it is not known.

    The address is the DHCPv6 server's, whose frames stop at the tap. Only where the guest may have
    it as its router, the MAC is the gateway's: else DHCPv6 of the guest would go to the gateway.
    """
    router, gateway = state.router, state.gateway6
    if gateway is None:
        return OUR_MAC
    if router is None:
        may_be_router = guest.migration_target or has_default(guest)
    else:
        virtual = (one.source == "virtual" for one in (router, *state.withdrawn))
        may_be_router = any(virtual)
    return gateway.lladdr if may_be_router else OUR_MAC
