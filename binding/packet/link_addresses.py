"""The IP addresses of the pod's links, read by rtnetlink.

Numbers are those of linux/if_addr.h.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

from binding.packet import raw_netlink
from guest.network import Address

_MESSAGE = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, index
_IFA_ADDRESS, _IFA_LOCAL = 1, 2


def read() -> dict[int, frozenset[Address]]:
    """Return the addresses of each link by its index. Raises OSError."""
    found: dict[int, set[Address]] = {}
    for body in raw_netlink.dump(raw_netlink.RTM_GETADDR, _MESSAGE.pack(0, 0, 0, 0, 0)):
        if len(body) < _MESSAGE.size:
            continue
        *_, index = _MESSAGE.unpack_from(body)
        said = raw_netlink.attributes(body[_MESSAGE.size :])
        octets = said.get(_IFA_LOCAL, said.get(_IFA_ADDRESS, b""))
        if len(octets) in (4, 16):
            found.setdefault(index, set()).add(ip_address(octets))
    return {index: frozenset(of_one) for index, of_one in found.items()}
