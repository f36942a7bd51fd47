"""Netlink by hand: messages, nf_tables transactions and dumps, and notices of changes.

By hand because of what it costs at 200m CPU: pyroute2's nft module alone takes 0.11 s of CPU
to import, which is 0.55 s there, all of this 0.016 s. Its message classes can do what is
done here; names and numbers are theirs, and those of linux/netlink.h, linux/rtnetlink.h and
linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x01, 0x04, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
NFPROTO_NETDEV = 5
"""The family of tables that hook into links."""
_NLM_F_DUMP_INTR = 0x10
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NFNL_SUBSYS_NFTABLES, _NFNLGRP_NFTABLES = 10, 7
_NFNL_MSG_BATCH_BEGIN, _NFNL_MSG_BATCH_END = 0x10, 0x11
(
    NFT_MSG_NEWTABLE, NFT_MSG_GETTABLE, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_GETCHAIN,
    _, NFT_MSG_NEWRULE, NFT_MSG_GETRULE,
) = (_NFNL_SUBSYS_NFTABLES << 8 | number for number in range(8))  # fmt: skip
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_NESTED = 0x8000
_TYPE = 0x3FFF
_BATCH = struct.pack("!BBH", 0, 0, _NFNL_SUBSYS_NFTABLES)
_HEADER = struct.Struct("=IHHII")
_TIMEOUT = 5.0
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class NftChange:
    """One change of a transaction."""

    kind: int
    flags: int
    body: bytes
    about: str
    """The change in words, for the error text."""


class TransactionError(Exception):
    """The kernel did not take the transaction; what was before is still in force."""

    def __init__(self, step: str, code: int) -> None:
        super().__init__(step, os.strerror(code))
        self.step = step
        self.errno = code


def attribute(kind: int, value: bytes) -> bytes:
    """Return a netlink attribute, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind: int, value: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | _NESTED, value)


def text(kind: int, value: str) -> bytes:
    """Return a string attribute."""
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    """Return a number in network order, as nf_tables has them."""
    return attribute(kind, struct.pack("!I", value))


def attributes(data: bytes) -> list[tuple[int, bool, bytes]]:
    """Return the attributes in data: type, whether marked as nested, value."""
    found = []
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if not 4 <= length <= len(data):
            break
        found.append((kind & _TYPE, bool(kind & _NESTED), data[4:length]))
        data = data[(length + 3) & ~3 :]
    return found


def commit(messages: Sequence[NftChange]) -> int:
    """Carry out a transaction; return the number that the kernel knows its sender by.

    Raises TransactionError naming the first message refused.
    """
    last = len(messages)
    batch = [packed(0, _NFNL_MSG_BATCH_BEGIN, 0, _BATCH)]
    for number, message in enumerate(messages, 1):
        # Errors always come back, and before the one acknowledgement that is asked for.
        flags = message.flags | (NLM_F_ACK if number == last else 0)
        batch.append(packed(number, message.kind, flags, _nfgenmsg(message.body)))
    batch.append(packed(last + 1, _NFNL_MSG_BATCH_END, 0, _BATCH))
    with _opened() as netlink:
        netlink.send(b"".join(batch))
        while True:
            for number, code in answers(netlink.recv(1 << 17)):
                if code:
                    about = messages[number - 1].about if 1 <= number <= last else "set the guard"
                    raise TransactionError(about, code)
                if number == last:
                    return int(netlink.getsockname()[0])


def dump(kind: int, body: bytes = b"", family: int = NFPROTO_NETDEV) -> list[bytes]:
    """Return the attributes of each object of a family that the kernel lists. Raises OSError.

    Read again when the table changed meanwhile (NLM_F_DUMP_INTR).
    """
    for _ in range(_ATTEMPTS - 1):
        found, interrupted = _dump(kind, body, family)
        if not interrupted:
            return found
    return _dump(kind, body, family)[0]


def _dump(kind: int, body: bytes, family: int) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    interrupted = False
    with _opened() as netlink:
        netlink.send(packed(1, kind, NLM_F_DUMP, _nfgenmsg(body, family)))
        while True:
            for answer, flags, _, content in _messages(netlink.recv(1 << 17)):
                interrupted |= bool(flags & _NLM_F_DUMP_INTR)
                if answer == _NLMSG_DONE:
                    return found, interrupted
                if answer == _NLMSG_ERROR:
                    code = _code(content)
                    raise OSError(code, os.strerror(code))
                found.append(content[4:])


def changes() -> socket.socket:
    """Return a non-blocking socket that is told of each change of nf_tables in this netns.

    For the sidecar, which holds no privilege: joining the group takes NET_ADMIN, reading
    does not. `binding.packet.table_changes` reads it.
    """
    netlink = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER
    )
    try:
        netlink.bind((0, 0))
        netlink.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)
    except OSError:
        netlink.close()
        raise
    return netlink


def _opened() -> socket.socket:
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    netlink.settimeout(_TIMEOUT)
    netlink.bind((0, 0))
    return netlink


def _nfgenmsg(body: bytes, family: int = NFPROTO_NETDEV) -> bytes:
    return struct.pack("!BBH", family, 0, 0) + body


def packed(number: int, kind: int, flags: int, body: bytes) -> bytes:
    """Return a netlink message; the kernel repeats its number."""
    return _HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST, number, 0) + body


def answers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (sequence number, errno) of each acknowledgement."""
    for kind, _, number, content in _messages(data):
        if kind == _NLMSG_ERROR:
            yield number, _code(content)


def _code(content: bytes) -> int:
    return -int.from_bytes(content[:4], sys.byteorder, signed=True)


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield type, flags, sequence number and content of each message."""
    offset = 0
    while offset + 20 <= len(data):
        length, kind, flags, number, _ = _HEADER.unpack_from(data, offset)
        yield kind, flags, number, data[offset + 16 : offset + length]
        offset += (max(length, 16) + 3) & ~3
