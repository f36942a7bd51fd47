"""Classic BPF programs of the AF_PACKET sockets: what may wake a process, and nothing else.

Bulk traffic of the guest is turned away inside the kernel. Pure: each program is a
tuple of instructions, put together from readable tests on frame offsets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

from guest.ethernet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMPV6, UDP, mac_bytes
from guest.network import OUR_IPV4, OUR_LINK_LOCAL, Address

Instruction = tuple[int, int, int, int]

# linux/filter.h: class, size, mode and operation bits already added up.
_LD_WORD, _LD_HALF, _LD_BYTE = 0x20, 0x28, 0x30
_LD_HALF_X = 0x48  # half word at X + k
_LDX_IPV4_HEADER = 0xB1  # X = 4 * (byte at k & 0x0f)
_JUMP_EQ, _JUMP_SET, _JUMP_EQ_X = 0x15, 0x45, 0x1D
_TAX = 0x07
_RETURN = 0x06
_VLAN_PRESENT = 0xFFFFF000 + 48  # SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT
_WHOLE = 0x40000


@dataclass(frozen=True, slots=True)
class Test:
    """Compare what is loaded at an offset; every test of a rule must hold."""

    load: int
    offset: int
    value: int
    jump: int = _JUMP_EQ
    negate: bool = False
    same_as: int | None = None
    """Compare with the word at this offset instead of `value`."""


def _half(offset: int, value: int) -> Test:
    return Test(_LD_HALF, offset, value)


def _byte(offset: int, value: int) -> Test:
    return Test(_LD_BYTE, offset, value)


# Offsets count from the Ethernet header: 14 is the IP header, 54 what follows IPv6's.
_IPV4_UDP = (
    _half(12, ETH_IPV4),
    _byte(23, UDP),
    Test(_LD_HALF, 20, 0x1FFF, _JUMP_SET, negate=True),  # a later fragment has no ports
)
_IPV6_UDP = (_half(12, ETH_IPV6), _byte(20, UDP))
_IPV6_ICMP = (_half(12, ETH_IPV6), _byte(20, ICMPV6))
_OURS = struct.unpack("!4I", OUR_LINK_LOCAL.packed)
_TARGET_IS_OURS = tuple(Test(_LD_WORD, 62 + 4 * i, word) for i, word in enumerate(_OURS))


def _ipv4_port(offset: int, port: int) -> Test:
    return Test(_LD_HALF_X, offset, port)


GUEST_RULES: tuple[tuple[Test, ...], ...] = (
    (*_IPV4_UDP, _ipv4_port(16, 67)),
    (*_IPV6_UDP, _half(56, 547)),
    (*_IPV6_ICMP, _byte(54, 133)),
    (*_IPV6_ICMP, _byte(54, 135), *_TARGET_IS_OURS),
    (_half(12, ETH_ARP), _half(20, 1), Test(_LD_WORD, 38, int(OUR_IPV4))),
)
"""At the tap: requests to DHCPv4 and DHCPv6 servers, RS, NS and ARP for our own addresses."""

NETWORK_RULES: tuple[tuple[Test, ...], ...] = (
    (_half(12, ETH_ARP), _half(20, 2)),
    # A gratuitous ARP request: sender and target protocol address are one.
    (_half(12, ETH_ARP), _half(20, 1), Test(_LD_WORD, 38, 0, _JUMP_EQ_X, same_as=28)),
    (*_IPV6_ICMP, _byte(54, 136)),
    (*_IPV6_ICMP, _byte(54, 134)),
    (*_IPV4_UDP, _ipv4_port(14, 67), _ipv4_port(16, 68)),
    (*_IPV6_UDP, _half(56, 546)),
)
"""At the pod NIC: who the gateway is (ARP, NA), and servers other than us (RA, DHCP)."""

CAPTURE_RULES: tuple[tuple[Test, ...], ...] = (
    (_half(12, ETH_ARP),),
    (*_IPV4_UDP, _ipv4_port(16, 67)),
    (*_IPV4_UDP, _ipv4_port(16, 68)),
    (*_IPV6_UDP, _half(56, 546)),
    (*_IPV6_UDP, _half(56, 547)),
    *((*_IPV6_ICMP, _byte(54, kind)) for kind in range(133, 138)),  # RS, RA, NS, NA, Redirect
)
"""For an operator: all that configures a guest, both ways, and none of its own traffic."""


# Payload length of an NA that ends with its target; a target link-layer address option.
_NO_OPTION, _LLADDR = _half(18, 24), _half(78, 0x0201)


def change_rules(known: Iterable[tuple[Address, str]]) -> tuple[tuple[Test, ...], ...]:
    """At the pod NIC of a guest at rest: a gateway that speaks from a MAC other than known."""
    rules: list[tuple[Test, ...]] = []
    for address, mac in known:
        high, low = struct.unpack("!IH", mac_bytes(mac))
        words = struct.unpack(f"!{len(address.packed) // 4}I", address.packed)
        ways: list[tuple[tuple[Test, ...], int]]
        """How it speaks, and where its MAC is then."""
        if address.version == 4:
            ways = [((_half(12, ETH_ARP), Test(_LD_WORD, 28, words[0])), 22)]
        else:
            target = (Test(_LD_WORD, 62 + 4 * i, word) for i, word in enumerate(words))
            speaks = (*_IPV6_ICMP, _byte(54, 136), *target)
            # In its option (RFC 4861 section 4.6.1), else it is the source of the frame.
            ways = [
                ((*speaks, _NO_OPTION), 6),
                ((*speaks, replace(_NO_OPTION, negate=True), _LLADDR), 80),
                ((*speaks, replace(_NO_OPTION, negate=True), replace(_LLADDR, negate=True)), 6),
            ]
        for speaks, station in ways:
            rules += [
                (*speaks, Test(_LD_WORD, station, high, negate=True)),
                (*speaks, Test(_LD_HALF, station + 4, low, negate=True)),
            ]
    return tuple(rules)


def answer_rules(mac: str) -> tuple[tuple[Test, ...], ...]:
    """At the pod NIC of a guest at rest: answers to it, which may come before we are awake."""
    high, low = struct.unpack("!IH", mac_bytes(mac))
    to_guest = (Test(_LD_WORD, 0, high), _half(4, low))
    return (
        (*to_guest, *_IPV4_UDP, _ipv4_port(14, 67), _ipv4_port(16, 68)),
        (*to_guest, *_IPV6_UDP, _half(56, 546)),
        (*to_guest, *_IPV6_ICMP, _byte(54, 134)),
    )


def program(rules: tuple[tuple[Test, ...], ...]) -> tuple[Instruction, ...]:
    """Assemble rules, tried in order; a VLAN-tagged frame passes none of them."""
    code: list[Instruction] = [(_LD_WORD, 0, 0, _VLAN_PRESENT), (_JUMP_EQ, 1, 0, 0), _DROP]
    for rule in rules:
        body: list[tuple[Test, Instruction]] = []
        for test in rule:
            if test.load == _LD_HALF_X:
                body.append((test, (_LDX_IPV4_HEADER, 0, 0, 14)))
            if test.same_as is not None:
                body += [(test, (_LD_WORD, 0, 0, test.same_as)), (test, (_TAX, 0, 0, 0))]
            body.append((test, (test.load, 0, 0, test.offset)))
            body.append((test, (test.jump, 0, 0, test.value)))
        for at, (test, (op, _, _, k)) in enumerate(body):
            if op in (_JUMP_EQ, _JUMP_SET, _JUMP_EQ_X):
                past = len(body) - at  # over the rest of the rule and its `return`
                code.append((op, past if test.negate else 0, 0 if test.negate else past, k))
            else:
                code.append((op, 0, 0, k))
        code.append((_RETURN, 0, 0, _WHOLE))
    code.append(_DROP)
    return tuple(code)


_DROP: Instruction = (_RETURN, 0, 0, 0)
EVERYTHING: tuple[Instruction, ...] = ((_RETURN, 0, 0, _WHOLE),)
"""For the first frame of a guest that arrives by migration, whatever it is."""


def packed(code: tuple[Instruction, ...]) -> bytes:
    """Return the array of struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
