"""The guard's rules for one filter, as nf_tables expressions. Pure.

Those of a link are for a netdev ingress chain, the others for a chain at IPv4's input hook.

What a message looks like is said in `binding.packet.message_table`. An nf_tables match on the
protocol finds it behind all IPv6 extension headers, as one on a fixed offset does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from binding.packet.guard import EXCEPTIONS, Filter
from binding.packet.message_table import (
    DESTINATION_PORT,
    ICMPV6_TYPE,
    SOURCE_PORT,
    Field,
    Form,
    Header,
    Is,
    Kind,
    Match,
    forms,
)
from binding.plumb import guard_long_frames
from binding.plumb import nft_expressions as nft
from binding.plumb.nft_expressions import Expression, Matches
from guest.ethernet import ETH_IPV4, ETH_IPV6, ETH_SERVICE_VLAN, ETH_VLAN, ICMPV6, TCP, UDP

_BASE = {
    Header.LINK: nft.NFT_PAYLOAD_LL_HEADER,
    Header.NETWORK: nft.NFT_PAYLOAD_NETWORK_HEADER,
    Header.TRANSPORT: nft.NFT_PAYLOAD_TRANSPORT_HEADER,
}
_PORTS = (DESTINATION_PORT, SOURCE_PORT)
_COMPARE = {Is.EQUAL: nft.NFT_CMP_EQ, Is.OTHER: nft.NFT_CMP_NEQ, Is.BELOW: nft.NFT_CMP_LT}
_BESIDE = 100
"""Octets of a frame that no MTU counts, at most: its Ethernet header and tags."""
_ETH_802_2 = 0x0004  # of linux/if_ether.h: a length stands where the ethertype would
_IPV6_FRAGMENT_HEADER, _AUTHENTICATION_HEADER = 44, 51
_ESP, _OSPF, _PIM, _VRRP = 50, 89, 103, 112


def rules(
    one: Filter, listening: int | None, mtu: int = 1500
) -> Iterator[tuple[str, list[Expression]]]:
    """Yield the rules of one link in order, each as its comment and its expressions.

    `listening` is the number of the listening bridge; None: nothing is copied to one.
    """
    heard = () if listening is None else one.hear
    udp = _other_udp({*one.drop, *heard}, one)
    dropped6 = [form for form in forms(one.drop, one.who) if form.ethertype == ETH_IPV6]
    # What long frames need adds to the cost of each packet: only where there are such frames.
    has_long = bool(dropped6) and mtu > guard_long_frames.SHORT - _BESIDE
    short = guard_long_frames.short() if has_long else []
    yield "TCP", [*nft.protocol(TCP), *short, _ACCEPT]
    yield "UDP of other ports", [*udp, *short, _ACCEPT]
    for comment, matches in (*_OTHER_NETWORKS, _LATER_IPV4_FRAGMENT):
        yield comment, [*matches, _ACCEPT]
    if not has_long:
        yield _LATER_IPV6_FRAGMENT
    if listening is not None:
        for kind, matches in _of(heard, one):
            yield f"{kind}, for us, too", [*matches, *nft.copy_to(listening)]
    if has_long:
        yield "IPv4 TCP", [*nft.ethertype(ETH_IPV4), *nft.protocol(TCP), _ACCEPT]
        yield "IPv4 UDP of other ports", [*nft.ethertype(ETH_IPV4), *udp, _ACCEPT]
        yield from _long_frames(dropped6)
        yield _LATER_IPV6_FRAGMENT  # only now: of a long frame this, too, may be misread
    for kind in sorted(one.drop, key=lambda kind: len(_excepted(kind, one))):
        for exception, matches in _of(_excepted(kind, one), one):
            yield exception, [*matches, _ACCEPT]
        for _, matches in _of((kind,), one):
            yield kind, [*matches, *_DROP]
    if one.drop:
        yield from _strict()


def rules_of_pod(one: Filter) -> Iterator[tuple[str, list[Expression]]]:
    """Yield the rules of what the pod's own sockets do not get, likewise."""
    for link in one.spares:
        yield f"another's bridge {link}", [*nft.arrived_by(link), _ACCEPT]
    for kind, matches in _of(one.drop, one):
        yield kind, [*nft.arrived_by(one.link), *matches, *_DROP]


def _long_frames(dropped6: Iterable[Form]) -> Iterator[tuple[str, list[Expression]]]:
    ports, types = _matches_on(dropped6, *_PORTS), _matches_on(dropped6, ICMPV6_TYPE)
    for comment, matches, passes in guard_long_frames.rules(ports, types):
        yield comment, [*matches, *((_ACCEPT,) if passes else _DROP)]


def _excepted(kind: Kind, one: Filter) -> tuple[Kind, ...]:
    """Return the exceptions from a kind at this link; what they cannot read is dropped."""
    return tuple(each for each in EXCEPTIONS.get(kind, ()) if each in one.passes)


def _of(kinds: Iterable[Kind], one: Filter) -> Iterator[tuple[Kind, Matches]]:
    for kind in kinds:
        for form in forms((kind,), one.who):
            yield kind, _matches(form)


def _matches(message: Form) -> Matches:
    matches = nft.ethertype(message.ethertype)
    if message.protocol is not None:
        matches += nft.protocol(message.protocol)
    for match in message.matches:
        matches += _match(match)
    return matches


def _match(match: Match) -> Matches:
    masked = [nft.mask(match.mask)] if match.mask else []
    return [_load(match.field), *masked, nft.compare(match.value, _COMPARE[match.compare])]


def _load(field: Field) -> Expression:
    return nft.load(_BASE[field.header], field.offset, field.size)


def _other_udp(kinds: Iterable[Kind], one: Filter) -> Matches:
    """Match UDP of none of these kinds."""
    matches = nft.protocol(UDP)
    for port in _PORTS:
        values = sorted({match.value for match in _matches_on(forms(kinds, one.who), port)})
        if values:
            matches += [_load(port), *(nft.compare(each, nft.NFT_CMP_NEQ) for each in values)]
    return matches


def _matches_on(messages: Iterable[Form], *fields: Field) -> list[Match]:
    """Return the matches on these fields."""
    return [match for form in messages for match in form.matches if match.field in fields]


def _strict() -> Iterator[tuple[str, list[Expression]]]:
    """Yield what drops a message that no rule could recognise."""
    for comment, matches in _DISGUISES:
        yield comment, [*matches, *_DROP]
    for comment, matches in _UNDERSTOOD:
        yield comment, [*matches, _ACCEPT]
    # RFC 7112, 7113: a first fragment without its whole header chain hides what it is.
    yield "IPv6 headers unreadable", [*nft.ethertype(ETH_IPV6), *_DROP]


def _tagged(kind: int) -> Matches:
    """Match a frame of another network, whatever is in it: one with VID 1 to 4094."""
    tag = [
        nft.load(nft.NFT_PAYLOAD_LL_HEADER, 12, 2),
        nft.compare(kind.to_bytes(2, "big")),
        nft.load(nft.NFT_PAYLOAD_LL_HEADER, 14, 2),
        nft.mask(b"\x0f\xff"),
    ]
    return [
        *tag,
        nft.compare(b"\0\0", nft.NFT_CMP_GT),
        nft.compare(b"\x0f\xff", nft.NFT_CMP_LT),
    ]


def _snap(kind: int) -> Matches:
    return [
        *nft.ethertype(_ETH_802_2),
        nft.load(nft.NFT_PAYLOAD_NETWORK_HEADER, 0, 8),
        nft.compare(b"\xaa\xaa\x03\0\0\0" + kind.to_bytes(2, "big")),
    ]


_ACCEPT = nft.verdict(nft.NF_ACCEPT)
_DROP = (nft.counter(), nft.verdict(nft.NF_DROP))
_OTHER_NETWORKS = (
    ("802.1Q with a VID", _tagged(ETH_VLAN)),
    ("802.1ad with a VID", _tagged(ETH_SERVICE_VLAN)),
)
# A later fragment has no ports, yet kernels compare what is in their place.
_LATER_IPV4_FRAGMENT: tuple[str, Matches] = (
    "a later IPv4 fragment",
    [
        *nft.ethertype(ETH_IPV4),
        nft.load(nft.NFT_PAYLOAD_NETWORK_HEADER, 6, 2),
        nft.mask(b"\x1f\xff"),
        nft.compare(b"\0\0", nft.NFT_CMP_NEQ),
    ],
)
_LATER_IPV6_FRAGMENT: tuple[str, Matches] = (
    "a later IPv6 fragment",
    [
        nft.load_extension(_IPV6_FRAGMENT_HEADER, 2, 2),
        nft.compare(b"\0\x08", nft.NFT_CMP_GTE),
        _ACCEPT,
    ],
)
# Kernels look no further than an authentication header. A receiver that shares no key with its
# sender discards what is behind one (RFC 4302 section 3.4.2); should one not, then a message on
# the link must not get by. Routing protocols use it there.
_AUTHENTICATED = [
    *nft.ethertype(ETH_IPV6),
    *nft.protocol(_AUTHENTICATION_HEADER),
    nft.load(nft.NFT_PAYLOAD_NETWORK_HEADER, 24, 1),
    nft.compare(b"\xfe", nft.NFT_CMP_GTE),  # to a link-local address or a group
    nft.load(nft.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1),
    *(nft.compare(bytes((one,)), nft.NFT_CMP_NEQ) for one in (TCP, _ESP, _OSPF, _PIM, _VRRP)),
]
# Tags stacked under VID 0, and SNAP, pass for plain frames with some guests (CVE-2021-27853,
# -27854, -27861, -27862).
_DISGUISES = (
    ("behind an authentication header", _AUTHENTICATED),
    ("802.1Q under VID 0", nft.ethertype(ETH_VLAN)),
    ("802.1ad under VID 0", nft.ethertype(ETH_SERVICE_VLAN)),
    *(
        (f"{name} in SNAP", _snap(kind))
        for name, kind in (
            ("IPv4", ETH_IPV4),
            ("IPv6", ETH_IPV6),
            ("802.1Q", ETH_VLAN),
            ("802.1ad", ETH_SERVICE_VLAN),
        )
    ),
)
_HEADER_IS_THERE = [
    nft.load(nft.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 4),
    nft.compare(bytes(4), nft.NFT_CMP_GTE),
]
_UNDERSTOOD: tuple[tuple[str, Matches], ...] = (
    ("UDP, none of the above", [*nft.protocol(UDP), *_HEADER_IS_THERE]),
    ("ICMPv6, none of the above", [*nft.protocol(ICMPV6), *_HEADER_IS_THERE]),
    (
        "neither UDP nor ICMPv6",
        [
            *nft.protocol(UDP)[:1],
            nft.compare(bytes((UDP,)), nft.NFT_CMP_NEQ),
            nft.compare(bytes((ICMPV6,)), nft.NFT_CMP_NEQ),
        ],
    ),
)
