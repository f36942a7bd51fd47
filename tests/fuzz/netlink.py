"""What the kernel says: links, notices of changes, tables of nf_tables; read without a library.

The kernel is not hostile, but other kernels say more, and a notice may be cut.
"""

from __future__ import annotations

import random
import socket
import struct

from binding.packet import link_details, link_table, raw_netlink, table_changes
from binding.plumb import guard_table, nfnetlink
from tests.fuzz import mutations

_OURS, _THEIRS = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)


def _message(kind: int, body: bytes) -> bytes:
    return raw_netlink.packed(1, kind, 0, body) + bytes(-len(body) % 4)


def _attribute(kind: int, value: bytes) -> bytes:
    return raw_netlink.attribute(kind, value)


_LINK = struct.pack("=BxHiII", 0, 1, 2, 0x10001, 0) + b"".join(
    (
        _attribute(1, bytes(6)),
        _attribute(3, b"eth0\0"),
        _attribute(4, struct.pack("=I", 1450)),
        _attribute(10, struct.pack("=I", 3)),
        _attribute(18, _attribute(1, b"tun\0") + _attribute(2, _attribute(1, bytes(4)))),
        _attribute(26, _attribute(10, _attribute(8, b"\1"))),
        _attribute(12 | 0x8000, _attribute(1, b"\3") + _attribute(9, b"\0")),
    )
)
_COUNTER = raw_netlink.nest(1, raw_netlink.text(1, "counter") + raw_netlink.nest(2, _attribute(1, bytes(8)) + _attribute(2, bytes(8))))  # fmt: skip  # noqa: E501  # one value, one line
_RULE = bytes((5, 0, 0, 0)) + b"".join(
    (
        raw_netlink.text(1, "dsbridge"),
        raw_netlink.text(2, "tap0"),
        raw_netlink.nest(4, _COUNTER),
        _attribute(7, b"\0\2x\0"),
    )
)
SEEDS = [
    _message(16, _LINK) + _message(3, bytes(4)),
    _message(17, _LINK) + _message(24, bytes(12)),
    _message(2, struct.pack("=i", -1) + bytes(16)),
    _message(nfnetlink.NFT_MSG_NEWRULE, _RULE),
    _message(nfnetlink.NFT_MSG_NEWRULE, _RULE) + _message(10 << 8 | 15, bytes(20)),
]


def run(data: bytes) -> None:
    """Nothing of it raises anything but OSError, nor goes on for ever."""
    for kind, _, _, payload in raw_netlink.messages(data):
        if kind == 16 and len(payload) >= 16:
            link_table.link(payload)
    link_details._details(raw_netlink.attributes(data[32:]))
    table_changes.concerns(data, "dsbridge")
    for kind, _, _, content in raw_netlink.messages(data):
        if kind == nfnetlink.NFT_MSG_NEWRULE:
            list(guard_table._counts(content[4:]))
            guard_table._is_rule(_RULE[4:], content[4:])
    list(raw_netlink.acknowledged(data))
    _THEIRS.send(data[:4096] or b"\0")
    link_table.news(_OURS)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change octets of a message; now and then its length is right."""
    made = bytearray(mutations.octets(data, rng))
    if len(made) >= 16 and rng.randrange(3):
        struct.pack_into("=I", made, 0, len(made))
    if len(made) >= 6 and not rng.randrange(4):
        kinds = (16, 17, 20, 24, 2, 3, nfnetlink.NFT_MSG_NEWRULE, nfnetlink.NFT_MSG_NEWRULE)
        struct.pack_into("=H", made, 4, rng.choice(kinds))
    return bytes(made)
