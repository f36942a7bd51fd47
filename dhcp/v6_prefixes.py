"""Which prefix each IA_PD of a client gets (RFC 8415 section 18.3, RFC 8168). Pure.

An IA_PD gets one of the guest's prefixes, in whole, as the administrator has routed it. Nobody
keeps record: clients name in RENEW, REBIND and REQUEST the prefix that they have, and keep it by
that. A record would do harm, since a guest that was installed anew asks with other IAIDs, and its
prefixes would be its predecessor's for ever.
"""

from __future__ import annotations

from ipaddress import IPv6Network

from dhcp.v6_message import IA_PD, Association, Message
from guest.network import GuestNetwork


def delegations(message: Message, guest: GuestNetwork) -> dict[int, IPv6Network]:
    """Return the prefix of each IA_PD by its IAID; those beyond the guest's prefixes have none.

    An IA_PD that names one of the prefixes gets it. The others choose in the order of their IAIDs,
    so that the same ones get the same prefixes in whatever order a client lists them.
    """
    asking = [ia for ia in message.associations if ia.code == IA_PD]
    asking.sort(key=lambda ia: ia.iaid)
    free = list(guest.delegated)
    found: dict[int, IPv6Network] = {}
    for ia in asking:
        named = next((prefix for prefix in ia.prefixes if prefix in free), None)
        if named is not None:
            found[ia.iaid] = named
            free.remove(named)
    for ia in asking:
        if ia.iaid not in found and free:
            found[ia.iaid] = _chosen(ia, free)
            free.remove(found[ia.iaid])
    return found


def _chosen(ia: Association, free: list[IPv6Network]) -> IPv6Network:
    """Return the prefix of the wished length, else the next larger network, else the largest."""
    if not ia.prefixes:
        return free[0]
    wished = ia.prefixes[0].prefixlen
    return min(free, key=lambda p: (p.prefixlen > wished, abs(p.prefixlen - wished)))
