"""Per-device settings that /proc/sys would take, were it not read-only in a container."""

from __future__ import annotations

import struct
from errno import EAFNOSUPPORT, EOPNOTSUPP
from socket import AF_INET

from binding.plumb.netlink import IPRoute, Message, NetlinkError, ifinfmsg, nlmsg, request
from binding.plumb.nfnetlink import NLM_F_ACK, NLM_F_REQUEST, RTM_NEWLINK

ADDRESSES_EUI64 = 0  # IN6_ADDR_GEN_MODE_EUI64
ADDRESSES_NONE = 1

_REQUEST = NLM_F_REQUEST | NLM_F_ACK
_IFLA_INET_CONF = 1
_ARP_IGNORE = 19  # IPV4_DEVCONF_ARP_IGNORE


class _DeviceConf(nlmsg):  # type: ignore[misc]  # pyroute2 ships no types
    """ifinfmsg takes the nested IFLA_INET_CONF for a plain struct; here it is packed by hand."""

    fields = ifinfmsg.fields
    nla_map = ((26, "IFLA_AF_SPEC", "cdata", 0),)


def generate_addresses(ipr: IPRoute, index: int, mode: int) -> None:
    """Set how a link makes IPv6 link-local addresses; without IPv6 it makes none anyway."""
    inet6 = ("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", mode)]})
    try:
        ipr.link("set", index=index, IFLA_AF_SPEC={"attrs": [inet6]})
    except NetlinkError as error:
        if error.code not in (EAFNOSUPPORT, EOPNOTSUPP):
            raise


def ignore_arp(ipr: IPRoute, index: int, level: int = 1) -> None:
    """Set arp_ignore; 1 answers ARP for the link's own addresses only."""
    setting = struct.pack("=HHI", 8, _ARP_IGNORE, level)
    conf = struct.pack("=HH", 4 + len(setting), _IFLA_INET_CONF) + setting
    message = _DeviceConf()
    message["index"] = index
    message["attrs"] = [("IFLA_AF_SPEC", struct.pack("=HH", 4 + len(conf), AF_INET) + conf)]
    request(ipr, message, RTM_NEWLINK, _REQUEST)


def address_generation(link: Message) -> int:
    """Return what generate_addresses() sets."""
    inet6 = link.get_nested("IFLA_AF_SPEC", "AF_INET6")
    mode = inet6.get_attr("IFLA_INET6_ADDR_GEN_MODE") if inet6 else None
    return ADDRESSES_EUI64 if mode is None else int(mode)


def arp_ignored(link: Message) -> int:
    """Return what ignore_arp() sets."""
    inet = link.get_nested("IFLA_AF_SPEC", "AF_INET")
    return int(inet["arp_ignore"]) if inet else 0
