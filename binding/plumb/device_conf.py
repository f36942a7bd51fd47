"""Per-device sysctl settings by netlink: /proc/sys is read-only in a container."""

from __future__ import annotations

import struct
from errno import EAFNOSUPPORT, EOPNOTSUPP
from socket import AF_INET

from binding.packet.raw_netlink import NLM_F_ACK, NLM_F_REQUEST, RTM_NEWLINK
from binding.plumb.netlink import IPRoute, NetlinkError, NetlinkMessage, ifinfmsg, nlmsg, request

ADDRESSES_EUI64 = 0  # IN6_ADDR_GEN_MODE_EUI64
ADDRESSES_NONE = 1

_REQUEST = NLM_F_REQUEST | NLM_F_ACK
_IFLA_INET_CONF = 1
_ARP_IGNORE = 19  # IPV4_DEVCONF_ARP_IGNORE


class _DeviceConf(nlmsg):  # type: ignore[misc]  # pyroute2 ships no types
    """An ifinfmsg whose IFLA_AF_SPEC is packed by hand: pyroute2's cannot set IFLA_INET_CONF."""

    fields = ifinfmsg.fields
    nla_map = ((26, "IFLA_AF_SPEC", "cdata", 0),)


def generate_addresses(ipr: IPRoute, index: int, mode: int) -> None:
    """Set how a link makes its IPv6 link-local address; nothing to do on a node without IPv6."""
    inet6 = ("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", mode)]})
    try:
        ipr.link("set", index=index, IFLA_AF_SPEC={"attrs": [inet6]})
    except NetlinkError as error:
        if error.code not in (EAFNOSUPPORT, EOPNOTSUPP):
            raise


def ignore_arp(ipr: IPRoute, index: int, level: int = 1) -> None:
    """Set a link's arp_ignore; with 1, ARP is answered there for that link's addresses only."""
    setting = struct.pack("=HHI", 8, _ARP_IGNORE, level)
    conf = struct.pack("=HH", 4 + len(setting), _IFLA_INET_CONF) + setting
    message = _DeviceConf()
    message["index"] = index
    message["attrs"] = [("IFLA_AF_SPEC", struct.pack("=HH", 4 + len(conf), AF_INET) + conf)]
    request(ipr, message, RTM_NEWLINK, _REQUEST)


def address_generation(link: NetlinkMessage) -> int:
    """Return the mode that generate_addresses() would set."""
    inet6 = link.get_nested("IFLA_AF_SPEC", "AF_INET6")
    mode = inet6.get_attr("IFLA_INET6_ADDR_GEN_MODE") if inet6 else None
    return ADDRESSES_EUI64 if mode is None else int(mode)


def arp_ignored(link: NetlinkMessage) -> int:
    """Return the level that ignore_arp() would set."""
    inet = link.get_nested("IFLA_AF_SPEC", "AF_INET")
    return int(inet["arp_ignore"]) if inet else 0


def is_silent(link: NetlinkMessage) -> bool:
    """Say whether a link makes itself no IPv6 address, and answers ARP for its own only."""
    has_ipv6 = link.get_nested("IFLA_AF_SPEC", "AF_INET6") is not None
    makes_addresses = has_ipv6 and address_generation(link) != ADDRESSES_NONE
    return arp_ignored(link) > 0 and not makes_addresses
