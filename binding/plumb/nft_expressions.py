"""Expressions of nf_tables rules, by the names of linux/netfilter/nf_tables.h. Pure.

Every match loads register 1 and compares it.
"""

from __future__ import annotations

import struct

from binding.packet.raw_netlink import attribute, nest, text, u32

Expression = bytes
Matches = list[Expression]

NFTA_EXPR_NAME, NFTA_EXPR_DATA = 1, 2
NFTA_COUNTER_BYTES, NFTA_COUNTER_PACKETS = 1, 2
_NFTA_DATA_VALUE, _NFTA_DATA_VERDICT = 1, 2
_NFTA_VERDICT_CODE = 1
_NFTA_IMMEDIATE_DREG, _NFTA_IMMEDIATE_DATA = 1, 2
_NFTA_META_DREG, _NFTA_META_KEY = 1, 2
_NFTA_PAYLOAD_DREG, _NFTA_PAYLOAD_BASE, _NFTA_PAYLOAD_OFFSET, _NFTA_PAYLOAD_LEN = 1, 2, 3, 4
_NFTA_CMP_SREG, _NFTA_CMP_OP, _NFTA_CMP_DATA = 1, 2, 3
_NFTA_BITWISE_SREG, _NFTA_BITWISE_DREG, _NFTA_BITWISE_LEN = 1, 2, 3
_NFTA_BITWISE_MASK, _NFTA_BITWISE_XOR = 4, 5
_NFTA_EXTHDR_DREG, _NFTA_EXTHDR_TYPE, _NFTA_EXTHDR_OFFSET, _NFTA_EXTHDR_LEN = 1, 2, 3, 4
_NFTA_DUP_SREG_DEV = 2
_NFT_REG_VERDICT, _NFT_REG_1 = 0, 1
_NFT_META_LEN, _NFT_META_PROTOCOL, _NFT_META_IIFNAME, _NFT_META_L4PROTO = 0, 1, 6, 16
_IFNAMSIZ = 16
NFT_PAYLOAD_LL_HEADER, NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER = 0, 1, 2
NFT_CMP_EQ, NFT_CMP_NEQ, NFT_CMP_LT, NFT_CMP_LTE, NFT_CMP_GT, NFT_CMP_GTE = range(6)
NF_DROP, NF_ACCEPT = 0, 1


def _expression(name: str, data: bytes) -> Expression:
    return text(NFTA_EXPR_NAME, name) + nest(NFTA_EXPR_DATA, data)


def _value(kind: int, value: bytes) -> bytes:
    return nest(kind, attribute(_NFTA_DATA_VALUE, value))


def _meta(key: int) -> Expression:
    return _expression("meta", u32(_NFTA_META_DREG, _NFT_REG_1) + u32(_NFTA_META_KEY, key))


def load(base: int, offset: int, length: int) -> Expression:
    """Load octets of a header; a rule ends where the frame does not have them."""
    where = u32(_NFTA_PAYLOAD_BASE, base) + u32(_NFTA_PAYLOAD_OFFSET, offset)
    into = u32(_NFTA_PAYLOAD_DREG, _NFT_REG_1)
    return _expression("payload", into + where + u32(_NFTA_PAYLOAD_LEN, length))


def load_extension(header: int, offset: int, length: int) -> Expression:
    """Load octets of an IPv6 extension header, wherever it is in the chain."""
    which = attribute(_NFTA_EXTHDR_TYPE, bytes((header,))) + u32(_NFTA_EXTHDR_OFFSET, offset)
    into = u32(_NFTA_EXTHDR_DREG, _NFT_REG_1)
    return _expression("exthdr", into + which + u32(_NFTA_EXTHDR_LEN, length))


def compare(value: bytes, operator: int = NFT_CMP_EQ) -> Expression:
    """Compare with a value; the rule ends where that does not hold."""
    how = u32(_NFTA_CMP_SREG, _NFT_REG_1) + u32(_NFTA_CMP_OP, operator)
    return _expression("cmp", how + _value(_NFTA_CMP_DATA, value))


def mask(bits: bytes) -> Expression:
    """Clear all other bits."""
    registers = u32(_NFTA_BITWISE_SREG, _NFT_REG_1) + u32(_NFTA_BITWISE_DREG, _NFT_REG_1)
    values = _value(_NFTA_BITWISE_MASK, bits) + _value(_NFTA_BITWISE_XOR, bytes(len(bits)))
    return _expression("bitwise", registers + u32(_NFTA_BITWISE_LEN, len(bits)) + values)


def protocol(number: int) -> Matches:
    """Match the protocol behind all IPv6 extension headers."""
    return [_meta(_NFT_META_L4PROTO), compare(bytes((number,)))]


def ethertype(number: int) -> Matches:
    """Match what follows a first tag: the kernel has taken that out of the frame."""
    return [_meta(_NFT_META_PROTOCOL), compare(struct.pack("!H", number))]


def arrived_by(link: str) -> Matches:
    """Match the link by which a packet came, or all whose names begin so: `k6t-*`."""
    name = link.encode()
    is_prefix = name.endswith(b"*")
    value = name[:-1] if is_prefix else name.ljust(_IFNAMSIZ, b"\0")
    return [_meta(_NFT_META_IIFNAME), compare(value)]


def length() -> Expression:
    """Load the octets of the frame behind its Ethernet header."""
    return _meta(_NFT_META_LEN)


def in_host_order(number: int) -> bytes:
    """Return a number as registers hold those that are no part of a frame."""
    return struct.pack("=I", number)


def verdict(code: int) -> Expression:
    """End the rules of this hook."""
    data = nest(_NFTA_DATA_VERDICT, u32(_NFTA_VERDICT_CODE, code))
    register = u32(_NFTA_IMMEDIATE_DREG, _NFT_REG_VERDICT)
    return _expression("immediate", register + nest(_NFTA_IMMEDIATE_DATA, data))


def copy_to(link: int) -> Matches:
    """Send a copy of the frame out by the link of this number."""
    number = _value(_NFTA_IMMEDIATE_DATA, in_host_order(link))
    return [
        _expression("immediate", u32(_NFTA_IMMEDIATE_DREG, _NFT_REG_1) + number),
        _expression("dup", u32(_NFTA_DUP_SREG_DEV, _NFT_REG_1)),
    ]


def counter(packets: int = 0, octets: int = 0) -> Expression:
    """Count, from these figures on."""
    start = attribute(NFTA_COUNTER_BYTES, struct.pack("!Q", octets))
    return _expression(
        "counter", start + attribute(NFTA_COUNTER_PACKETS, struct.pack("!Q", packets))
    )
