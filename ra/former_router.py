"""Ends the router of the node that a guest came from by migration, where nobody here has it. Pure.

Such a guest keeps the link-local router of its former node for as long as that had said, and sends
part of its packets there. Two things tell which one it is: the guest's own neighbour solicitations,
which Linux sends only after up to 50 s, and the MAC to which the guest sends what is for other
links: the router's address is the EUI-64 address of that MAC, or dsbridge's virtual one, which is
ended by other means. The pod network is asked for the address as well, and unless somebody answers,
an RA of lifetime 0 in its name ends it, at the tap; never before the guest has been told its router
here, without which it would drop its connections.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv6Address

from guest.network import OUR_LINK_LOCAL, GuestNetwork

ANSWERS_WITHIN = 0.5
"""Seconds; routers answer a solicitation at once (RFC 4861 section 7.2.4)."""
_AGAIN = 10.0
_MOST = 4


@dataclass(frozen=True, slots=True)
class FormerRouter:
    """A link-local address that the guest asks for and that is no router of ours."""

    address: IPv6Address
    asked: float | None = None
    """When the pod network was asked for it (monotonic seconds)."""
    is_done: bool = False
    """Somebody has it, or the guest was told that it is no router."""

    def is_due(self, now: float) -> bool:
        """Say whether nobody has answered for it in time."""
        return self.wake_at is not None and now >= self.wake_at

    @property
    def wake_at(self) -> float | None:
        """When it is due."""
        return None if self.asked is None or self.is_done else self.asked + ANSWERS_WITHIN


Known = tuple[FormerRouter, ...]


def sought(
    known: Known, guest: GuestNetwork, target: IPv6Address, ours: set[IPv6Address], now: float
) -> Known:
    """Take note that the guest asks for an address; `ours` are the routers that there are here."""
    is_foreign = target.is_link_local and target not in ours and target != OUR_LINK_LOCAL
    if not (guest.migration_target and guest.gets_ipv6 and is_foreign):
        return known
    before = next((one for one in known if one.address == target), None)
    if before is None:
        return (*known, FormerRouter(target)) if len(known) < _MOST else known
    if before.is_done and before.asked is not None and now >= before.asked + _AGAIN:
        return tuple(FormerRouter(target) if one == before else one for one in known)
    return known


def due(
    known: Known, now: float, here: set[IPv6Address] | None
) -> tuple[Known, list[IPv6Address], list[IPv6Address]]:
    """Return what is known then, whom to ask for, and which routers to end.

    `here` are the routers of this node; None is ended before the guest has been told one.
    """
    asked = [one.address for one in known if one.asked is None]
    late = [one.address for one in known if here is not None and one.is_due(now)]
    after = (
        replace(one, asked=one.asked or now, is_done=one.is_done or one.address in late)
        for one in known
    )
    return tuple(after), asked, [one for one in late if one not in (here or ())]


def answered(known: Known, address: object) -> Known:
    """Take note that somebody here has the address."""
    if not any(one.address == address for one in known):
        return known
    return tuple(replace(one, is_done=True) if one.address == address else one for one in known)
