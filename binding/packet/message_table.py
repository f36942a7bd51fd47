"""The one table of the messages that configure a guest: how each is known in a frame. Pure.

`guard` says which of them are heard, dropped and passed at which link. The filters of the
packet sockets (`bpf`) and the rules of nf_tables (`binding.plumb.guard_rules`) are both made
from the descriptions here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, NamedTuple

from guest.ethernet import (
    DHCP4_CLIENT,
    DHCP4_SERVER,
    DHCP6_CLIENT,
    DHCP6_SERVER,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMPV6,
    NEIGHBOR_ADVERTISEMENT,
    NEIGHBOR_SOLICITATION,
    REDIRECT,
    ROUTER_ADVERTISEMENT,
    ROUTER_SOLICITATION,
    UDP,
    mac_bytes,
)
from guest.network import OUR_IPV4, OUR_LINK_LOCAL, Address

Kind = Literal[
    "dhcp4-to-server", "dhcp4-of-others", "dhcp4-to-other-servers",
    "dhcp4-to-client", "dhcp4-to-other-clients", "dhcp4-from-server",
    "dhcp6-to-server", "dhcp6-relayed", "dhcp6-to-other-servers",
    "dhcp6-to-client", "dhcp6-to-other-clients", "dhcp6-from-server",
    "rs", "ra", "ns", "ns-for-us", "ns-of-arrived", "na", "na-for-us", "nd-by-us", "redirect",
    "arp", "arp-announcement", "arp-for-us",
]  # fmt: skip


class Header(Enum):
    """The header that the offset of a field counts from."""

    LINK = "Ethernet"
    NETWORK = "IPv4, IPv6 or ARP"
    TRANSPORT = "UDP or ICMPv6, behind IPv4 options and IPv6 extension headers"


class Field(NamedTuple):
    """Octets of a frame."""

    header: Header
    offset: int
    size: int


class Is(Enum):
    """How the octets of a field compare with a value."""

    EQUAL = "="
    OTHER = "!="
    BELOW = "<"


class Match(NamedTuple):
    """What a field must be; `mask` first clears the bits that do not count."""

    field: Field
    value: bytes
    compare: Is = Is.EQUAL
    mask: bytes = b""


class SameAs(NamedTuple):
    """Two fields of four octets must be equal, which nf_tables cannot compare."""

    field: Field
    other: Field


class Form(NamedTuple):
    """One form of a message: every match must hold."""

    ethertype: int
    protocol: int | None
    """Behind all IPv6 extension headers; None for ARP."""
    matches: tuple[Match, ...] = ()
    heard_if: tuple[Match | SameAs, ...] = ()
    """Asked by packet sockets beside `matches`, so that nothing else wakes a process."""


@dataclass(frozen=True, slots=True)
class Parties:
    """The guest at a link, and what we answer it for."""

    mac: str = ""
    ipv6: tuple[IPv6Address, ...] = ()
    """Addresses of the guest that are not link-local."""
    server4: IPv4Address = OUR_IPV4
    """Our DHCPv4 server identifier."""
    answered: tuple[Address, ...] = (OUR_IPV4, OUR_LINK_LOCAL)
    """Addresses for which we answer the guest's ARP requests and neighbour solicitations."""
    has_arrived: bool = False
    """By migration: it may ask for the router of its former node, which is link-local."""
    router: IPv6Address | None = None
    """Its router here, whose solicitations are not heard at rest."""


FRAME_DESTINATION, FRAME_SOURCE = Field(Header.LINK, 0, 6), Field(Header.LINK, 6, 6)
IPV4_FRAGMENT = Field(Header.NETWORK, 6, 2)
IPV4_DESTINATION, IPV6_DESTINATION = Field(Header.NETWORK, 16, 4), Field(Header.NETWORK, 24, 16)
_IPV6_SOURCE = Field(Header.NETWORK, 8, 16)
IPV6_LENGTH = Field(Header.NETWORK, 4, 2)
ARP_OPERATION = Field(Header.NETWORK, 6, 2)
ARP_SENDER_MAC, ARP_SENDER = Field(Header.NETWORK, 8, 6), Field(Header.NETWORK, 14, 4)
ARP_TARGET = Field(Header.NETWORK, 24, 4)
SOURCE_PORT, DESTINATION_PORT = Field(Header.TRANSPORT, 0, 2), Field(Header.TRANSPORT, 2, 2)
BOOTP_CHADDR = Field(Header.TRANSPORT, 8 + 28, 6)
DHCP6_TYPE = Field(Header.TRANSPORT, 8, 1)
ICMPV6_TYPE, ND_TARGET = Field(Header.TRANSPORT, 0, 1), Field(Header.TRANSPORT, 8, 16)
_ND_LINK_LOCAL = Field(Header.TRANSPORT, 8, 2)
ND_OPTION, ND_OPTION_MAC = Field(Header.TRANSPORT, 24, 2), Field(Header.TRANSPORT, 26, 6)
ARP_REQUEST, ARP_REPLY = b"\0\1", b"\0\2"
_RELAY_FORWARD = b"\x0c"
_GROUP_BIT = b"\x01"
_FRAGMENT_BITS = b"\x3f\xff"  # "more fragments" and the offset
_MULTICAST4, _LINK_LOCAL6, _MULTICAST6 = b"\xe0", b"\xfe", b"\xff"
"""The first octets of the ranges, the lowest of them where there are several."""


def _first(field: Field) -> Field:
    return Field(field.header, field.offset, 1)


def _port(ethertype: int, field: Field, port: int, *more: Match) -> Form:
    return Form(ethertype, UDP, (Match(field, port.to_bytes(2, "big")), *more))


def _icmpv6(kind: int, target: Address | None = None, source: Address | None = None) -> Form:
    about = () if target is None else (Match(ND_TARGET, target.packed),)
    by = () if source is None else (Match(_IPV6_SOURCE, source.packed),)
    return Form(ETH_IPV6, ICMPV6, (Match(ICMPV6_TYPE, bytes((kind,))), *about, *by))


def _arp(*matches: Match, heard_if: tuple[Match | SameAs, ...] = ()) -> Form:
    return Form(ETH_ARP, None, matches, heard_if)


# A later fragment that overlaps the first could replace its DHCP header.
_WHOLE = Match(IPV4_FRAGMENT, b"\0\0", mask=_FRAGMENT_BITS)
_FROM_SERVER = Match(SOURCE_PORT, DHCP4_SERVER.to_bytes(2, "big"))
_TO_ONE_STATION = Match(_first(FRAME_DESTINATION), b"\0", mask=_GROUP_BIT)

ROUTED6 = (_TO_ONE_STATION, Match(_first(IPV6_DESTINATION), _LINK_LOCAL6, Is.BELOW))
"""IPv6 to one station, and to an address that is neither link-local nor multicast."""


def _of_each_guest() -> dict[Kind, tuple[Form, ...]]:
    to_client = _port(ETH_IPV4, DESTINATION_PORT, DHCP4_CLIENT)
    return {
        "dhcp4-to-server": (_port(ETH_IPV4, DESTINATION_PORT, DHCP4_SERVER),),
        "dhcp4-to-client": (Form(ETH_IPV4, UDP, to_client.matches, (_FROM_SERVER,)),),
        "dhcp4-from-server": (_port(ETH_IPV4, SOURCE_PORT, DHCP4_SERVER),),
        "dhcp6-to-server": (_port(ETH_IPV6, DESTINATION_PORT, DHCP6_SERVER),),
        "dhcp6-relayed": (
            _port(ETH_IPV6, DESTINATION_PORT, DHCP6_SERVER, Match(DHCP6_TYPE, _RELAY_FORWARD)),
        ),
        "dhcp6-to-client": (_port(ETH_IPV6, DESTINATION_PORT, DHCP6_CLIENT),),
        "dhcp6-from-server": (_port(ETH_IPV6, SOURCE_PORT, DHCP6_SERVER),),
        "rs": (_icmpv6(ROUTER_SOLICITATION),),
        "ra": (_icmpv6(ROUTER_ADVERTISEMENT),),
        "ns": (_icmpv6(NEIGHBOR_SOLICITATION),),
        "na": (_icmpv6(NEIGHBOR_ADVERTISEMENT),),
        "na-for-us": (_icmpv6(NEIGHBOR_ADVERTISEMENT, OUR_LINK_LOCAL),),
        # A solicitation teaches the guest its sender's MAC, a redirect another way.
        "nd-by-us": tuple(
            _icmpv6(kind, source=OUR_LINK_LOCAL) for kind in (NEIGHBOR_SOLICITATION, REDIRECT)
        ),
        "redirect": (_icmpv6(REDIRECT),),
        "arp": (_arp(),),
        "arp-announcement": (
            _arp(Match(ARP_OPERATION, ARP_REPLY)),
            # A gratuitous request: its sender asks for its own address.
            _arp(
                Match(ARP_OPERATION, ARP_REQUEST),
                heard_if=(SameAs(ARP_TARGET, ARP_SENDER),),
            ),
        ),
    }


def _of_arrived(who: Parties) -> tuple[Form, ...]:
    if not who.has_arrived:
        return ()
    known = () if who.router is None else (Match(ND_TARGET, who.router.packed, Is.OTHER),)
    kind = Match(ICMPV6_TYPE, bytes((NEIGHBOR_SOLICITATION,)))
    return (Form(ETH_IPV6, ICMPV6, (kind, Match(_ND_LINK_LOCAL, b"\xfe\x80"), *known)),)


def _of_this_guest(who: Parties) -> dict[Kind, tuple[Form, ...]]:
    another_client = (_WHOLE, Match(BOOTP_CHADDR, mac_bytes(who.mac), Is.OTHER))
    another_server4 = (
        _TO_ONE_STATION,
        Match(_first(IPV4_DESTINATION), _MULTICAST4, Is.BELOW),
        Match(IPV4_DESTINATION, who.server4.packed, Is.OTHER),
    )
    another_server6 = (
        Match(_first(IPV6_DESTINATION), _MULTICAST6, Is.OTHER),
        Match(IPV6_DESTINATION, OUR_LINK_LOCAL.packed, Is.OTHER),
    )
    routed = (
        Match(_first(IPV6_DESTINATION), _LINK_LOCAL6, Is.BELOW),
        *(Match(IPV6_DESTINATION, one.packed, Is.OTHER) for one in who.ipv6),
    )
    return {
        "dhcp4-of-others": (_port(ETH_IPV4, DESTINATION_PORT, DHCP4_SERVER, *another_client),),
        "dhcp4-to-other-servers": (
            _port(ETH_IPV4, DESTINATION_PORT, DHCP4_SERVER, *another_server4),
        ),
        "dhcp4-to-other-clients": (
            _port(ETH_IPV4, DESTINATION_PORT, DHCP4_CLIENT, *another_client),
        ),
        "dhcp6-to-other-servers": (
            _port(ETH_IPV6, DESTINATION_PORT, DHCP6_SERVER, *another_server6),
        ),
        "dhcp6-to-other-clients": (_port(ETH_IPV6, DESTINATION_PORT, DHCP6_CLIENT, *routed),),
        "ns-for-us": tuple(
            _icmpv6(NEIGHBOR_SOLICITATION, one) for one in who.answered if one.version == 6
        ),
        "ns-of-arrived": _of_arrived(who),
        "arp-for-us": tuple(
            _arp(Match(ARP_OPERATION, ARP_REQUEST), Match(ARP_TARGET, one.packed))
            for one in who.answered
            if one.version == 4
        ),
    }


_OF_EACH_GUEST = _of_each_guest()


def forms(kinds: Iterable[Kind], who: Parties) -> tuple[Form, ...]:
    """Return all forms of these kinds, in order."""
    table = _OF_EACH_GUEST | _of_this_guest(who)
    return tuple(form for kind in kinds for form in table[kind])
