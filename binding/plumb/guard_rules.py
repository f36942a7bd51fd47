"""What the guard drops and hands on, as nf_tables expressions for a netdev ingress chain. Pure.

`meta l4proto` is the protocol behind all IPv6 extension headers, which matches on the
next header or by a fixed offset are not. Numbers are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from binding.packet.guard import Filter, Kind
from binding.plumb.nfnetlink import attribute, nest, text, u32
from guest.network import OUR_IPV4, OUR_LINK_LOCAL

Expression = bytes
Matches = list[Expression]

_DROP, _ACCEPT = 0, 1
_META_PROTOCOL, _META_L4PROTO = 1, 16
_NETWORK, _TRANSPORT = 1, 2
_EQUAL, _NOT, _AT_LEAST = 0, 1, 5
_TCP, _UDP, _ICMPV6 = b"\x06", b"\x11", b"\x3a"
_FRAGMENT_HEADER = b"\x2c"


def rules(one: Filter, ear: int | None) -> Iterator[tuple[str, list[Expression]]]:
    """Yield the rules of one link in order: what each is about, and its expressions.

    `ear` is the number of the link that takes what is to be heard; None: nothing is handed on.
    """
    heard = {} if ear is None else {kind: _number(ear) for kind in one.hear}
    yield "bulk traffic", [*_l4(_TCP), _verdict(_ACCEPT)]
    yield "bulk traffic", [*_other_udp({*one.drop, *heard}), _verdict(_ACCEPT)]
    for comment, matches in _LATER_FRAGMENTS:
        yield comment, [*matches, _verdict(_ACCEPT)]
    for kind, link in heard.items():
        if kind in one.drop:
            yield kind, [*_MATCHES[kind], _COUNTER, link, _HAND_OVER]
        else:
            yield f"{kind}, for us, too", [*_MATCHES[kind], link, _COPY]
    for kind in one.drop:
        if kind not in heard:
            yield kind, [*_MATCHES[kind], _COUNTER, _verdict(_DROP)]
    if one.drop:
        yield from _strict()


def _strict() -> Iterator[tuple[str, list[Expression]]]:
    """Yield what drops a message that no rule could recognise."""
    for comment, matches in _DISGUISES:
        yield comment, [*matches, _COUNTER, _verdict(_DROP)]
    for comment, matches in _UNDERSTOOD:
        yield comment, [*matches, _verdict(_ACCEPT)]
    # RFC 7112, 7113: a first fragment without its whole header chain hides what it is.
    yield "IPv6 headers unreadable", [*_protocol(0x86DD), _COUNTER, _verdict(_DROP)]


def _expression(name: str, data: bytes) -> Expression:
    return text(1, name) + nest(2, data)


def _value(kind: int, value: bytes) -> bytes:
    return nest(kind, attribute(1, value))


# Every match loads register 1 and compares it.
def _meta(key: int) -> Expression:
    return _expression("meta", u32(1, 1) + u32(2, key))


def _load(base: int, offset: int, length: int) -> Expression:
    return _expression("payload", u32(1, 1) + u32(2, base) + u32(3, offset) + u32(4, length))


def _compare(value: bytes, operator: int = _EQUAL) -> Expression:
    return _expression("cmp", u32(1, 1) + u32(2, operator) + _value(3, value))


def _mask(mask: bytes) -> Expression:
    into = u32(1, 1) + u32(2, 1) + u32(3, len(mask))
    return _expression("bitwise", into + _value(4, mask) + _value(5, bytes(len(mask))))


def _verdict(code: int) -> Expression:
    return _expression("immediate", u32(1, 0) + nest(2, nest(2, u32(1, code))))


def _number(link: int) -> Expression:
    return _expression("immediate", u32(1, 1) + _value(2, struct.pack("=I", link)))


def _l4(protocol: bytes) -> Matches:
    return [_meta(_META_L4PROTO), _compare(protocol)]


def _protocol(ethertype: int) -> Matches:
    # Of what follows a first VLAN tag: the kernel has taken that off.
    return [_meta(_META_PROTOCOL), _compare(struct.pack("!H", ethertype))]


def _udp(kind: Kind) -> Matches:
    source, destination = _PORTS[kind]
    at = _SOURCE_PORT if source else _DESTINATION_PORT
    return [*_l4(_UDP), at, _compare(_port(source or destination))]


def _other_udp(kinds: AbstractSet[Kind]) -> Matches:
    """Match UDP of none of these kinds."""
    ports = [_PORTS[kind] for kind in kinds if kind in _PORTS]
    matches = _l4(_UDP)
    for at, which in ((_DESTINATION_PORT, 1), (_SOURCE_PORT, 0)):
        found = sorted({pair[which] for pair in ports} - {0})
        if found:
            matches += [at, *(_compare(_port(port), _NOT) for port in found)]
    return matches


def _port(number: int) -> bytes:
    return struct.pack("!H", number)


def _icmpv6(kind: int) -> Matches:
    return [*_l4(_ICMPV6), _load(_TRANSPORT, 0, 1), _compare(bytes((kind,)))]


_COUNTER = _expression("counter", b"")
# Both to the link whose number is in register 1.
_HAND_OVER = _expression("fwd", u32(1, 1))
_COPY = _expression("dup", u32(2, 1))
_FOR_US = [_load(_TRANSPORT, 8, 16), _compare(OUR_LINK_LOCAL.packed)]
# A request (RFC 826) for our address.
_ARP_REQUEST = [_load(_NETWORK, 6, 2), _compare(b"\0\1")]
_ARP_FOR_US = [*_ARP_REQUEST, _load(_NETWORK, 24, 4), _compare(OUR_IPV4.packed)]
_DESTINATION_PORT, _SOURCE_PORT = _load(_TRANSPORT, 2, 2), _load(_TRANSPORT, 0, 2)
# Source, destination; 0: any.
_PORTS: dict[Kind, tuple[int, int]] = {
    "dhcp4-to-server": (0, 67),
    "dhcp4-to-client": (0, 68),
    "dhcp4-from-server": (67, 0),
    "dhcp6-to-server": (0, 547),
    "dhcp6-to-client": (0, 546),
    "dhcp6-from-server": (547, 0),
}
_MATCHES: dict[Kind, Matches] = {kind: _udp(kind) for kind in _PORTS} | {
    "rs": _icmpv6(133),
    "ra": _icmpv6(134),
    "ns-for-us": [*_icmpv6(135), *_FOR_US],
    "na-for-us": [*_icmpv6(136), *_FOR_US],
    "na": _icmpv6(136),
    "arp": _protocol(0x0806),
    "arp-for-us": [*_protocol(0x0806), *_ARP_FOR_US],
}
# A later fragment has no ports, yet kernels compare what is in their place.
_LATER_FRAGMENTS: tuple[tuple[str, Matches], ...] = (
    (
        "a later IPv4 fragment",
        [*_protocol(0x0800), _load(_NETWORK, 6, 2), _mask(b"\x1f\xff"), _compare(b"\0\0", _NOT)],
    ),
    (
        "a later IPv6 fragment",
        [
            _expression(
                "exthdr", u32(1, 1) + attribute(2, _FRAGMENT_HEADER) + u32(3, 2) + u32(4, 2)
            ),
            _compare(b"\0\x08", _AT_LEAST),
        ],
    ),
)
# Stacked tags and SNAP pass for plain frames with some guests (CVE-2021-27853, -27854).
_DISGUISES: tuple[tuple[str, Matches], ...] = (
    ("stacked 802.1Q", _protocol(0x8100)),
    ("stacked 802.1ad", _protocol(0x88A8)),
    ("IP in SNAP", [*_protocol(0x0004), _load(_NETWORK, 0, 6), _compare(b"\xaa\xaa\x03\0\0\0")]),
)
_HEADER_IS_THERE = [_load(_TRANSPORT, 0, 4), _compare(bytes(4), _AT_LEAST)]
_UNDERSTOOD: tuple[tuple[str, Matches], ...] = (
    ("UDP, none of the above", [*_l4(_UDP), *_HEADER_IS_THERE]),
    ("ICMPv6, none of the above", [*_l4(_ICMPV6), *_HEADER_IS_THERE]),
    (
        "neither UDP nor ICMPv6",
        [_meta(_META_L4PROTO), _compare(_UDP, _NOT), _compare(_ICMPV6, _NOT)],
    ),
)
