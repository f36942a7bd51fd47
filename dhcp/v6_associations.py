"""What each identity association of a client gets (RFC 8415 section 18.3).

The guest has no more addresses than the pod, and has them all in one IA_NA: the one
that already names one of them, else the first. Any other IA_NA, every IA_TA and every
IA_PD is answered by a status.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from scapy.layers.dhcp6 import (
    DHCP6OptIA_NA,
    DHCP6OptIA_PD,
    DHCP6OptIA_TA,
    DHCP6OptIAAddress,
    DHCP6OptStatusCode,
)
from scapy.packet import Packet

from dhcp.v6_message import IA_NA, IA_PD, IA_TA, REBIND, RENEW, REQUEST, Association, Message
from guest.build import built
from guest.network import GuestNetwork

SUCCESS, NO_ADDRS_AVAIL, NO_BINDING, NOT_ON_LINK, NO_PREFIX_AVAIL = 0, 2, 3, 4, 6
INFINITE = 0xFFFFFFFF
# What fits beside all the rest into the least MTU of IPv6, 1280 octets.
_MOST_ADDRESSES = 32
_WORDS = {
    NO_ADDRS_AVAIL: b"no more addresses than the pod has",
    NO_BINDING: b"not an address of this pod",
    NOT_ON_LINK: b"not an address of this pod",
    NO_PREFIX_AVAIL: b"no prefix is delegated here",
}


def offered(guest: GuestNetwork) -> tuple[IPv6Address, ...]:
    """Return the addresses that DHCPv6 gives; none where the guest makes its own (SLAAC).

    At most 32, so that the answer fits into any IPv6 link's MTU.
    """
    if guest.ipv6_mode not in ("dhcp", "both"):
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


def answers(message: Message, guest: GuestNetwork) -> list[bytes]:
    """Answer every IA of a SOLICIT, REQUEST, RENEW or REBIND, in the client's order."""
    holder = given(message, guest)
    return [built(_answer(message, ia, guest, held=ia is holder)) for ia in message.associations]


def unbound(message: Message, guest: GuestNetwork) -> list[bytes]:
    """Answer NoBinding to each IA of a RELEASE or DECLINE without an address of ours."""
    ours = set(offered(guest))
    return [
        built(_refusal(ia, NO_BINDING))
        for ia in message.associations
        if ia.code != IA_NA or not ours & set(ia.addresses)
    ]


def status(code: int, words: bytes = b"") -> DHCP6OptStatusCode:
    """Return a Status Code option."""
    return DHCP6OptStatusCode(statuscode=code, statusmsg=words or _WORDS.get(code, b""))


def _answer(message: Message, ia: Association, guest: GuestNetwork, *, held: bool) -> Packet:
    if ia.code == IA_PD:
        return _refusal(ia, NO_PREFIX_AVAIL)
    if ia.code == IA_TA:
        return _refusal(ia, NO_ADDRS_AVAIL)
    if _not_on_link(message, ia, guest):
        return _refusal(ia, NOT_ON_LINK)
    ours = offered(guest) if held else ()
    gone: tuple[IPv6Address, ...] = ()
    if message.kind in (RENEW, REBIND):
        # Sections 18.3.4 and 18.3.5: what is not the guest's comes back to be dropped at once.
        gone = tuple(address for address in ia.addresses if address not in ours)
    if not ours and not gone:
        return _refusal(ia, NO_ADDRS_AVAIL)
    lifetime = _lifetime(guest)
    t1, t2 = (lifetime, lifetime) if lifetime == INFINITE else (lifetime // 2, lifetime * 4 // 5)
    return DHCP6OptIA_NA(
        iaid=ia.iaid,
        T1=t1 if ours else 0,
        T2=t2 if ours else 0,
        ianaopts=[
            DHCP6OptIAAddress(addr=str(address), preflft=seconds, validlft=seconds)
            for addresses, seconds in ((ours, lifetime), (gone, 0))
            for address in addresses
        ],
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


def _lifetime(guest: GuestNetwork) -> int:
    # Preferred and valid alike: the address is the guest's for as long as the pod lives.
    return INFINITE if guest.lease is None else min(guest.lease, INFINITE)


def _refusal(ia: Association, code: int) -> Packet:
    if ia.code == IA_NA:
        return DHCP6OptIA_NA(iaid=ia.iaid, T1=0, T2=0, ianaopts=[status(code)])
    if ia.code == IA_TA:
        return DHCP6OptIA_TA(iaid=ia.iaid, iataopts=[status(code)])
    return DHCP6OptIA_PD(iaid=ia.iaid, T1=0, T2=0, iapdopt=[status(code)])
