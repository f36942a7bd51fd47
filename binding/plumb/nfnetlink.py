"""One nf_tables transaction over netlink: all of it takes effect or nothing does."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NETDEV = 5
"""NFPROTO_NETDEV: the family of tables that hook into links."""
_NETLINK_NETFILTER = 12
_NFTABLES = 10  # NFNL_SUBSYS_NFTABLES
_BEGIN, _END = 0x10, 0x11
REQUEST, ACK = 0x01, 0x04
EXCLUSIVE, CREATE, APPEND = 0x200, 0x400, 0x800
NEWTABLE, DELTABLE, NEWCHAIN, NEWRULE = (_NFTABLES << 8 | one for one in (0, 2, 3, 6))
_NESTED = 0x8000
_BATCH = struct.pack("!BBH", 0, 0, _NFTABLES)
_NLMSG_ERROR = 2
_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Message:
    """One change of a transaction."""

    kind: int
    flags: int
    body: bytes
    about: str
    """What it does, for the error text."""


class RefusedError(Exception):
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


def commit(messages: Sequence[Message]) -> None:
    """Carry out a transaction. Raises RefusedError naming the first message refused."""
    last = len(messages)
    batch = [packed(0, _BEGIN, 0, _BATCH)]
    for number, message in enumerate(messages, 1):
        # Errors always come back, and before the one acknowledgement that is asked for.
        flags = message.flags | (ACK if number == last else 0)
        head = struct.pack("!BBH", NETDEV, 0, 0)
        batch.append(packed(number, message.kind, flags, head + message.body))
    batch.append(packed(last + 1, _END, 0, _BATCH))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.settimeout(_TIMEOUT)
        netlink.bind((0, 0))
        netlink.send(b"".join(batch))
        while True:
            for number, code in answers(netlink.recv(1 << 17)):
                if code:
                    about = messages[number - 1].about if 1 <= number <= last else "set the guard"
                    raise RefusedError(about, code)
                if number == last:
                    return


def packed(number: int, kind: int, flags: int, body: bytes) -> bytes:
    """Return a netlink message; the kernel repeats its number."""
    return struct.pack("=IHHII", 16 + len(body), kind, flags | REQUEST, number, 0) + body


def answers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (sequence number, errno) of each acknowledgement."""
    offset = 0
    while offset + 20 <= len(data):
        length, kind, _, number, _ = struct.unpack_from("=IHHII", data, offset)
        if kind == _NLMSG_ERROR:
            yield number, -struct.unpack_from("=i", data, offset + 16)[0]
        offset += (max(length, 16) + 3) & ~3
