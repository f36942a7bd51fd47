"""IPv6 frames so long that nf_tables may not find their headers. Pure.

The kernel keeps a frame that does not fit a page partly outside of its linear buffer, and its
sender says how much: a guest in its virtio header. nf_tables then reads IPv6's first next
header from memory behind that buffer (ipv6_find_hdr, seen with Linux 6.18), and an RA of 4,100
octets passes for TCP. Loads of the payload are right wherever it is, so here next headers are
read that way: as far as honest traffic needs it, and what is left is dropped. Needed only where
the MTU lets such frames through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from binding.packet.message_table import Match
from binding.plumb import nft_expressions as nft
from binding.plumb.nft_expressions import Expression, Matches
from guest.ethernet import ETH_IPV6, ICMPV6, UDP

SHORT = 2_048
"""A shorter frame fits a page of 4,096 octets with all that the kernel puts beside it."""
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
_HIDING = (_HOP_BY_HOP, UDP, _ROUTING, _FRAGMENT, _AUTHENTICATION, ICMPV6, _DESTINATION)
_NEXT_HEADER, _BEHIND = 6, 40
"""Offsets of the next header, and of what follows the fixed one."""


def short() -> Matches:
    """Match a frame that nf_tables reads rightly."""
    return [*_high_bits_of_length(), nft.compare(bytes(4))]


def rules(
    ports: Collection[Match], types: Collection[Match]
) -> Iterator[tuple[str, Matches, bool]]:
    """Yield of each rule its comment, its matches, and whether such a frame passes.

    `ports` and `types` are how the messages that are dropped are told from others.
    """
    fragment = _BEHIND + 8
    for comment, matches in (
        ("another protocol", _none_of(_NEXT_HEADER, _HIDING)),
        ("UDP of other ports", [*_is(_NEXT_HEADER, UDP), *_others(_BEHIND, ports)]),
        ("ICMPv6 of other types", [*_is(_NEXT_HEADER, ICMPV6), *_others(_BEHIND, types)]),
        (
            "another protocol behind a header",
            [*_none_of(_NEXT_HEADER, (UDP, ICMPV6, _FRAGMENT)), *_none_of(_BEHIND, _HIDING)],
        ),
        ("a later fragment", [*_is(_NEXT_HEADER, _FRAGMENT), *_has_offset(_BEHIND + 2)]),
        (
            "a first fragment of another protocol",
            [*_is(_NEXT_HEADER, _FRAGMENT), *_none_of(_BEHIND, _HIDING)],
        ),
        (
            "a first fragment of UDP of other ports",
            [*_is(_NEXT_HEADER, _FRAGMENT), *_is(_BEHIND, UDP), *_others(fragment, ports)],
        ),
        (
            "a first fragment of ICMPv6 of other types",
            [*_is(_NEXT_HEADER, _FRAGMENT), *_is(_BEHIND, ICMPV6), *_others(fragment, types)],
        ),
    ):
        yield f"long IPv6: {comment}", [*_long(), *matches], True
    yield "long IPv6 frame, headers unreadable", _long(), False


def _long() -> Matches:
    return [
        *_high_bits_of_length(),
        nft.compare(bytes(4), nft.NFT_CMP_NEQ),
        *nft.ethertype(ETH_IPV6),
    ]


def _high_bits_of_length() -> Matches:
    # nf_tables compares octets, so of a number in the host's order only bits can be asked.
    return [nft.length(), nft.mask(nft.in_host_order(-SHORT & 0xFFFFFFFF))]


def _octet(offset: int) -> Expression:
    return nft.load(nft.NFT_PAYLOAD_NETWORK_HEADER, offset, 1)


def _is(offset: int, number: int) -> Matches:
    return [_octet(offset), nft.compare(bytes((number,)))]


def _none_of(offset: int, numbers: Collection[int]) -> Matches:
    others = (nft.compare(bytes((number,)), nft.NFT_CMP_NEQ) for number in numbers)
    return [_octet(offset), *others]


def _has_offset(at: int) -> Matches:
    bits = [nft.load(nft.NFT_PAYLOAD_NETWORK_HEADER, at, 2), nft.mask(b"\xff\xf8")]
    return [*bits, nft.compare(b"\0\0", nft.NFT_CMP_NEQ)]


def _others(transport: int, known_by: Collection[Match]) -> Matches:
    """Match a transport header, at an offset from the network header, of none of these."""
    matches: Matches = []
    for field in dict.fromkeys(match.field for match in known_by):
        where = transport + field.offset
        matches.append(nft.load(nft.NFT_PAYLOAD_NETWORK_HEADER, where, field.size))
        values = dict.fromkeys(match.value for match in known_by if match.field == field)
        matches += (nft.compare(value, nft.NFT_CMP_NEQ) for value in values)
    return matches
