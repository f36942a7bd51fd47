"""Classic BPF programs of the AF_PACKET sockets: only messages for us wake a process.

Bulk traffic of the guest is turned away inside the kernel. Which messages a socket hears is
said in `guard`, how each is known in `message_table`; here both become instructions. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network

from binding.packet import message_table
from binding.packet.guard import HEARD_AT_NIC, heard_at_tap
from binding.packet.message_table import Field, Form, Header, Is, Match, Parties, SameAs, forms
from guest.ethernet import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_SERVICE_VLAN,
    ETH_VLAN,
    ICMPV6,
    NEIGHBOR_ADVERTISEMENT,
    VLAN_ID,
    mac_bytes,
)
from guest.network import Address, Family

Instruction = tuple[int, int, int, int]

# linux/filter.h: class, size, mode and operation bits already added up.
_LOAD = {4: 0x20, 2: 0x28, 1: 0x30}  # so many octets at k
_LOAD_X = {4: 0x40, 2: 0x48, 1: 0x50}  # the same at X + k
_LDX_IPV4_HEADER = 0xB1  # X = 4 * (octet at k & 0x0f)
_AND, _TAX = 0x54, 0x07
_JUMP, _JUMP_EQ, _JUMP_GE, _JUMP_EQ_X = 0x05, 0x15, 0x35, 0x1D
_RETURN = 0x06
_WHOLE = 0x40000
# SKF_AD_OFF and what the kernel then loads of a tag that it has taken out of the frame.
_VLAN_TAG, _VLAN_PRESENT = 0xFFFFF000 + 44, 0xFFFFF000 + 48
_DROP: Instruction = (_RETURN, 0, 0, 0)
_ETHERTYPE = 12
_NETWORK_HEADER = 14
_IPV6_HEADER = 40
_WORD = 4
"""Octets that one instruction compares at most."""
_TAG = 4
"""Octets of an 802.1Q tag."""
_LATER_FRAGMENT = Match(message_table.IPV4_FRAGMENT, b"\0\0", mask=b"\x1f\xff")
_PROTOCOL = {ETH_IPV4: Field(Header.NETWORK, 9, 1), ETH_IPV6: Field(Header.NETWORK, 6, 1)}


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of a frame that is heard: its ethertype, and tests that must all hold."""

    ethertype: int
    tests: tuple[Match | SameAs, ...] = ()

    @classmethod
    def of(cls, message: Form) -> Rule:
        """Return what a message looks like without IPv6 extension headers, and whole.

        Others are not heard: no client sends DHCP, RS or NS so, and RFC 6980 forbids it.
        """
        tests: list[Match | SameAs] = []
        if message.protocol is not None:
            tests.append(Match(_PROTOCOL[message.ethertype], bytes((message.protocol,))))
            if message.ethertype == ETH_IPV4:
                tests.append(_LATER_FRAGMENT)  # has no ports
        return cls(message.ethertype, (*tests, *message.matches, *message.heard_if))


def _rules(kinds: Iterable[message_table.Kind], who: Parties) -> tuple[Rule, ...]:
    return tuple(Rule.of(form) for form in forms(kinds, who))


def guest_rules(who: Parties, silent: Collection[Family] = ()) -> tuple[Rule, ...]:
    """At the tap: what the guest asks of servers, and of us by our addresses.

    DHCP of the families in `silent` is not heard: no request of these families gets an answer.
    """
    unheard = {f"dhcp{family}-to-server" for family in silent}
    return _rules((kind for kind in heard_at_tap(who) if kind not in unheard), who)


NETWORK_RULES = _rules(HEARD_AT_NIC, Parties())
"""At the pod NIC: who the gateway is (ARP, NA), and servers other than us (RA, DHCP)."""

CAPTURE_RULES = _rules(
    (
        "arp", "dhcp4-to-server", "dhcp4-to-client", "dhcp6-to-client", "dhcp6-to-server",
        "rs", "ra", "ns", "na", "redirect",
    ),
    Parties(),
)  # fmt: skip
"""For an operator: all that configures a guest, both ways, and none of its own traffic."""


def used_router_rules(
    mac: str, on_link: Iterable[IPv6Network], known: Iterable[str]
) -> tuple[Rule, ...]:
    """At the tap of a guest that came by migration: IPv6 to other links, by a router not known.

    Prefixes are compared by pairs of octets.
    """
    beyond = (
        Match(Field(Header.NETWORK, 24, length), one.network_address.packed[:length], Is.OTHER)
        for one in on_link
        if (length := one.prefixlen // 16 * 2)
    )
    others = (Match(message_table.FRAME_DESTINATION, mac_bytes(one), Is.OTHER) for one in known)
    from_guest = Match(message_table.FRAME_SOURCE, mac_bytes(mac))
    return (Rule(ETH_IPV6, (from_guest, *message_table.ROUTED6, *beyond, *others)),)


def change_rules(known: Iterable[tuple[Address, str]]) -> tuple[Rule, ...]:
    """At the pod NIC of a guest at rest: a gateway that speaks from a MAC other than known."""
    return tuple(
        rule
        for address, mac in known
        for rule in (
            (_arp_from_another_mac(address, mac),)
            if isinstance(address, IPv4Address)
            else _na_from_another_mac(address, mac)
        )
    )


def _arp_from_another_mac(address: Address, mac: str) -> Rule:
    sender = Match(message_table.ARP_SENDER, address.packed)
    return Rule(ETH_ARP, (sender, Match(message_table.ARP_SENDER_MAC, mac_bytes(mac), Is.OTHER)))


def _na_from_another_mac(address: Address, mac: str) -> Iterator[Rule]:
    """Read the MAC from the NA's option (RFC 4861 section 4.6.1), else the frame's source."""
    advertisement = (
        Match(_PROTOCOL[ETH_IPV6], bytes((ICMPV6,))),
        Match(message_table.ICMPV6_TYPE, bytes((NEIGHBOR_ADVERTISEMENT,))),
        Match(message_table.ND_TARGET, address.packed),
    )
    has_no_option = Match(message_table.IPV6_LENGTH, b"\0\x18")  # the NA ends with its target
    has_an_option = Match(message_table.IPV6_LENGTH, b"\0\x18", Is.OTHER)
    of_its_mac, of_another_kind = (
        Match(message_table.ND_OPTION, b"\x02\x01", how) for how in (Is.EQUAL, Is.OTHER)
    )
    ways = (
        ((has_no_option,), message_table.FRAME_SOURCE),
        ((has_an_option, of_its_mac), message_table.ND_OPTION_MAC),
        ((has_an_option, of_another_kind), message_table.FRAME_SOURCE),
    )
    for way, where in ways:
        other = Match(where, mac_bytes(mac), Is.OTHER)
        yield Rule(ETH_IPV6, (*advertisement, *way, other))


def _by_word(rule: Rule) -> Iterator[Rule]:
    """Yield a rule for each word of a field that is to be another: one of them has to differ."""
    for at, test in enumerate(rule.tests):
        if isinstance(test, Match) and test.compare is Is.OTHER and test.field.size > _WORD:
            for offset, size in _chunks(test.field.size):
                word = Field(test.field.header, test.field.offset + offset, size)
                other = Match(word, test.value[offset : offset + size], Is.OTHER)
                tests = (*rule.tests[:at], other, *rule.tests[at + 1 :])
                yield from _by_word(Rule(rule.ethertype, tests))
            return
    yield rule


def answer_rules(mac: str) -> tuple[Rule, ...]:
    """At the pod NIC of a guest at rest: answers to it, which may come before `serve` starts."""
    to_guest = Match(message_table.FRAME_DESTINATION, mac_bytes(mac))
    answers = _rules(("dhcp4-to-client", "dhcp6-to-client", "ra"), Parties())
    return tuple(Rule(rule.ethertype, (to_guest, *rule.tests)) for rule in answers)


def router_rules(known: Iterable[str]) -> tuple[Rule, ...]:
    """At the pod NIC of a guest at rest: RAs from MACs other than those that are known."""
    others = tuple(Match(message_table.FRAME_SOURCE, mac_bytes(one), Is.OTHER) for one in known)
    advertisements = _rules(("ra",), Parties())
    return tuple(Rule(rule.ethertype, (*others, *rule.tests)) for rule in advertisements)


def program(rules: Sequence[Rule]) -> tuple[Instruction, ...]:
    """Assemble rules of which one must hold.

    A frame with a tag of VID 0 is heard as an untagged one, whether the driver took the tag
    out or left it in; one with another tag, or with two, is not heard.
    """
    rules = [one for rule in rules for one in _by_word(rule)]
    tagged = (
        (_LOAD[2], 0, 0, _VLAN_TAG), (_AND, 0, 0, VLAN_ID), (_JUMP_EQ, 1, 0, 0), _DROP,
        *_by_ethertype(rules, 0), _DROP,
    )  # fmt: skip
    in_frame = (
        (_LOAD[2], 0, 0, _ETHERTYPE + 2), (_AND, 0, 0, VLAN_ID), (_JUMP_EQ, 1, 0, 0), _DROP,
        *_by_ethertype(rules, _TAG), _DROP,
    )  # fmt: skip
    return (
        (_LOAD[4], 0, 0, _VLAN_PRESENT), (_JUMP_EQ, 0, 1, 0), (_JUMP, 0, 0, len(tagged)), *tagged,
        *_by_ethertype(rules, 0),
        (_JUMP_EQ, 2, 0, ETH_VLAN), (_JUMP_EQ, 1, 0, ETH_SERVICE_VLAN), _DROP, *in_frame,
    )  # fmt: skip


def _by_ethertype(rules: Sequence[Rule], shift: int) -> Iterator[Instruction]:
    """Yield the instructions for each ethertype with rules; A then holds any other ethertype."""
    yield _LOAD[2], 0, 0, _ETHERTYPE + shift
    for ethertype in dict.fromkeys(rule.ethertype for rule in rules):
        of_it = [rule for rule in rules if rule.ethertype == ethertype]
        body = [*(one for rule in of_it for one in _assembled(rule, shift)), _DROP]
        yield from ((_JUMP_EQ, 1, 0, ethertype), (_JUMP, 0, 0, len(body)), *body)


def _assembled(rule: Rule, shift: int) -> Iterator[Instruction]:
    # Operation, operand, and of a jump whether it must be taken.
    body: list[tuple[int, int, bool | None]] = []
    for test in rule.tests:
        if isinstance(test, SameAs):
            body += [(_LOAD[4], _offset(test.other, rule, shift), None), (_TAX, 0, None)]
            body += [(_LOAD[4], _offset(test.field, rule, shift), None), (_JUMP_EQ_X, 0, True)]
            continue
        behind_options = test.field.header is Header.TRANSPORT and rule.ethertype == ETH_IPV4
        if behind_options:
            body.append((_LDX_IPV4_HEADER, _NETWORK_HEADER + shift, None))
        for at, size in _chunks(test.field.size):
            load = _LOAD_X if behind_options else _LOAD
            body.append((load[size], _offset(test.field, rule, shift) + at, None))
            if test.mask:
                body.append((_AND, int.from_bytes(test.mask, "big"), None))
            jump = _JUMP_GE if test.compare is Is.BELOW else _JUMP_EQ
            value = int.from_bytes(test.value[at : at + size], "big")
            body.append((jump, value, test.compare is Is.EQUAL))
    for at, (operation, operand, taken) in enumerate(body):
        past = len(body) - at  # over the rest of the rule and its `return`
        jumps = (0, 0) if taken is None else (0, past) if taken else (past, 0)
        yield operation, *jumps, operand
    yield _RETURN, 0, 0, _WHOLE


def _offset(field: Field, rule: Rule, shift: int) -> int:
    """Return where a field is in the frame, in IPv4 behind X octets of header."""
    if field.header is Header.LINK:
        return field.offset
    behind = rule.ethertype == ETH_IPV6 and field.header is Header.TRANSPORT
    return _NETWORK_HEADER + shift + (_IPV6_HEADER if behind else 0) + field.offset


def _chunks(size: int) -> Iterator[tuple[int, int]]:
    """Split octets into what one instruction loads: offset and size of each part."""
    at = 0
    while at < size:
        part = next(one for one in (4, 2, 1) if one <= size - at)
        yield at, part
        at += part


EVERYTHING: tuple[Instruction, ...] = ((_RETURN, 0, 0, _WHOLE),)
"""For the first frame of a guest that arrives by migration, whatever it is."""


def packed(code: tuple[Instruction, ...]) -> bytes:
    """Return the array of struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
