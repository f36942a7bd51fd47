"""What each identity association (IA) of a client gets (RFC 8415 section 18.3).

The guest has no more addresses than the pod, and gets them all in one IA_NA: the IA_NA that
already names one of them, else the first. An IA_PD gets a prefix that is delegated to the guest.
Any other IA_NA, every IA_TA and an IA_PD beyond the prefixes is answered by a status.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from scapy.layers.dhcp6 import (
    DHCP6OptIA_NA,
    DHCP6OptIA_PD,
    DHCP6OptIA_TA,
    DHCP6OptIAAddress,
    DHCP6OptIAPrefix,
    DHCP6OptStatusCode,
)
from scapy.packet import Packet

from dhcp.v6_message import (
    CONFIRM,
    DECLINE,
    IA_NA,
    IA_PD,
    IA_TA,
    INFORMATION_REQUEST,
    REBIND,
    RELEASE,
    RENEW,
    REQUEST,
    Association,
    Message,
)
from dhcp.v6_prefixes import delegations
from guest.build import built
from guest.network import INFINITE, GuestNetwork

SUCCESS, NO_ADDRS_AVAIL, NO_BINDING, NOT_ON_LINK, NO_PREFIX_AVAIL = 0, 2, 3, 4, 6
# So many fit beside all other options into the least MTU of IPv6, 1280 octets.
_MOST_ADDRESSES = 32
_HEADERS = {IA_NA: 16, IA_TA: 8, IA_PD: 16}  # octets before the options inside
_SIZES = {IA_NA: 28, IA_TA: 28, IA_PD: 29}  # octets of an address or prefix
_WORDS = {
    NO_ADDRS_AVAIL: b"no more addresses than the pod has",
    NO_BINDING: b"not an address of this pod",
    NOT_ON_LINK: b"not an address of this pod",
    NO_PREFIX_AVAIL: b"no more prefixes are delegated here",
}
Lease = IPv6Address | IPv6Network


def offered(guest: GuestNetwork) -> tuple[IPv6Address, ...]:
    """Return the addresses that DHCPv6 gives; none where the guest makes its own (SLAAC).

    At most 32, so that the answer fits into any IPv6 link's MTU.
    """
    if not guest.has_dhcp6:
        return ()
    return tuple(interface.ip for interface in guest.ipv6[:_MOST_ADDRESSES])


def given(message: Message, guest: GuestNetwork) -> Association | None:
    """Return the IA_NA that has the pod's addresses; None when no IA_NA can have them."""
    ours = offered(guest)
    candidates = [
        ia
        for ia in message.associations
        if ia.code == IA_NA and not _not_on_link(message, ia, guest)
    ]
    if not ours or not candidates:
        return None
    return next((ia for ia in candidates if set(ia.addresses) & set(ours)), candidates[0])


@dataclass(frozen=True, slots=True)
class IaAnswer:
    """What one IA gets: addresses or prefixes, else a status."""

    ia: Association
    status: int = SUCCESS
    lifetime: int = 0
    """Seconds, of what is given."""
    given: tuple[Lease, ...] = ()
    gone: tuple[Lease, ...] = ()
    """What the client must drop at once."""

    @property
    def size(self) -> int:
        """Octets on the wire, known before scapy has to build them."""
        leases = len(self.given) + len(self.gone)
        words = 0 if leases else 4 + 2 + len(_WORDS[self.status])
        return _HEADERS[self.ia.code] + _SIZES[self.ia.code] * leases + words

    def built(self) -> bytes:
        inside = [_lease(one, self.lifetime) for one in self.given]
        inside += [_lease(one, 0) for one in self.gone]
        inside = inside or [status(self.status)]
        if self.ia.code == IA_TA:
            return built(DHCP6OptIA_TA(iaid=self.ia.iaid, iataopts=inside))
        t1, t2 = self.lifetime // 2, self.lifetime * 4 // 5
        if self.lifetime == INFINITE:
            t1 = t2 = INFINITE
        if self.ia.code == IA_PD:
            return built(DHCP6OptIA_PD(iaid=self.ia.iaid, T1=t1, T2=t2, iapdopt=inside))
        return built(DHCP6OptIA_NA(iaid=self.ia.iaid, T1=t1, T2=t2, ianaopts=inside))


def answers(message: Message, guest: GuestNetwork) -> list[IaAnswer]:
    """Answer the IAs of a message, in the client's order; none where only a status is due."""
    if message.kind in (RELEASE, DECLINE):
        # Sections 18.3.7 and 18.3.8: NoBinding for each IA without a lease of ours.
        return [
            IaAnswer(ia, NO_BINDING)
            for ia in message.associations
            if not _has_ours(message, ia, guest)
        ]
    if message.kind in (CONFIRM, INFORMATION_REQUEST):
        return []
    holder, prefixes = given(message, guest), delegations(message, guest)
    return [
        _delegation(message, ia, guest, prefixes.get(ia.iaid))
        if ia.code == IA_PD
        else _answer(message, ia, guest, held=ia is holder)
        for ia in message.associations
    ]


def status(code: int) -> DHCP6OptStatusCode:
    return DHCP6OptStatusCode(statuscode=code, statusmsg=_WORDS.get(code, b""))


def _answer(message: Message, ia: Association, guest: GuestNetwork, *, held: bool) -> IaAnswer:
    if ia.code == IA_TA:
        return IaAnswer(ia, NO_ADDRS_AVAIL)
    if _not_on_link(message, ia, guest):
        return IaAnswer(ia, NOT_ON_LINK)
    ours = offered(guest) if held else ()
    strange = tuple(address for address in ia.addresses if address not in ours)
    return _leased(message, ia, guest, ours, strange) or IaAnswer(ia, NO_ADDRS_AVAIL)


def _delegation(
    message: Message, ia: Association, guest: GuestNetwork, prefix: IPv6Network | None
) -> IaAnswer:
    ours = () if prefix is None else (prefix,)
    strange = tuple(one for one in ia.prefixes if one not in ours and not _is_wish(one))
    return _leased(message, ia, guest, ours, strange) or IaAnswer(ia, NO_PREFIX_AVAIL)


def _leased(
    message: Message,
    ia: Association,
    guest: GuestNetwork,
    ours: tuple[Lease, ...],
    strange: tuple[Lease, ...],
) -> IaAnswer | None:
    """Give an IA what is the guest's; None where there is neither that nor anything to drop."""
    # Sections 18.3.4 and 18.3.5: what is not the guest's comes back to be dropped at once.
    gone = strange if message.kind in (RENEW, REBIND) else ()
    if not ours and not gone:
        return None
    # Preferred and valid alike: the address is the guest's for as long as the pod lives.
    return IaAnswer(ia, SUCCESS, guest.lease_seconds if ours else 0, ours, gone)


def _has_ours(message: Message, ia: Association, guest: GuestNetwork) -> bool:
    if ia.code == IA_PD:
        # A DECLINE is of addresses only (section 18.2.8).
        return message.kind == RELEASE and bool(set(guest.delegated) & set(ia.prefixes))
    return ia.code == IA_NA and bool(set(offered(guest)) & set(ia.addresses))


def _is_wish(prefix: IPv6Network) -> bool:
    return not int(prefix.network_address)


def _lease(one: Lease, seconds: int) -> Packet:
    if isinstance(one, IPv6Address):
        return DHCP6OptIAAddress(addr=str(one), preflft=seconds, validlft=seconds)
    return DHCP6OptIAPrefix(
        prefix=str(one.network_address), plen=one.prefixlen, preflft=seconds, validlft=seconds
    )


def _not_on_link(message: Message, ia: Association, guest: GuestNetwork) -> bool:
    """Tell whether a REQUEST names a prefix of elsewhere (section 18.3.2): MUST be NotOnLink.

    In a SOLICIT it would be a hint, to be ignored.
    """
    links = [interface.network for interface in guest.ipv6] if offered(guest) else []
    return (
        message.kind == REQUEST
        and bool(links)
        and any(not any(address in link for link in links) for address in ia.addresses)
    )
