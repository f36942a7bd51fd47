"""nf_tables by netlink: transactions, lists, and notices of changes.

By hand because of what it costs at 200m CPU: pyroute2's nft module alone takes 0.11 s of CPU
to import, which is 0.55 s there, all of this 0.016 s. Its message classes can do what is
done here; names and numbers are those of pyroute2 and of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from binding.packet import raw_netlink
from binding.packet.raw_netlink import CHUNK, NETLINK_NETFILTER, NLM_F_ACK, packed
from binding.packet.table_changes import NFPROTO_NETDEV

_NFNL_SUBSYS_NFTABLES, _NFNLGRP_NFTABLES = 10, 7
_NFNL_MSG_BATCH_BEGIN, _NFNL_MSG_BATCH_END = 0x10, 0x11
(
    NFT_MSG_NEWTABLE, NFT_MSG_GETTABLE, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_GETCHAIN,
    _, NFT_MSG_NEWRULE, NFT_MSG_GETRULE,
) = (_NFNL_SUBSYS_NFTABLES << 8 | number for number in range(8))  # fmt: skip
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_NFGENMSG = 4
"""Octets of a struct nfgenmsg, with which each payload begins."""
_BATCH = struct.pack("!BBH", 0, 0, _NFNL_SUBSYS_NFTABLES)


@dataclass(frozen=True, slots=True)
class NftChange:
    """One change of a transaction."""

    kind: int
    flags: int
    body: bytes
    about: str
    """The change in words, for the error text."""
    family: int = NFPROTO_NETDEV


class TransactionError(Exception):
    """The kernel did not take the transaction; what was before is still in force."""

    def __init__(self, step: str, code: int) -> None:
        super().__init__(step, os.strerror(code))
        self.step = step
        self.errno = code


def commit(changes: Sequence[NftChange]) -> int:
    """Carry out a transaction; return the number that the kernel knows its sender by.

    Raises TransactionError naming the first change refused.
    """
    last = len(changes)
    batch = [packed(0, _NFNL_MSG_BATCH_BEGIN, 0, _BATCH)]
    for number, change in enumerate(changes, 1):
        # Errors always come back, and before the one acknowledgement that is asked for.
        flags = change.flags | (NLM_F_ACK if number == last else 0)
        batch.append(packed(number, change.kind, flags, _nfgenmsg(change.family) + change.body))
    batch.append(packed(last + 1, _NFNL_MSG_BATCH_END, 0, _BATCH))
    with raw_netlink.opened(NETLINK_NETFILTER) as netlink:
        netlink.send(b"".join(batch))
        while True:
            for number, code in raw_netlink.acknowledged(netlink.recv(CHUNK)):
                if code:
                    about = changes[number - 1].about if 1 <= number <= last else "set the guard"
                    raise TransactionError(about, code)
                if number == last:
                    return int(netlink.getsockname()[0])


def dump(kind: int, body: bytes = b"", family: int = NFPROTO_NETDEV) -> list[bytes]:
    """Return the attributes of each object of a family that the kernel lists. Raises OSError."""
    found = raw_netlink.dump(kind, _nfgenmsg(family) + body, NETLINK_NETFILTER)
    return [payload[_NFGENMSG:] for payload in found]


def changes() -> socket.socket:
    """Return a non-blocking socket that is told of each change of nf_tables in this netns.

    For the sidecar, which holds no privilege: joining the group takes NET_ADMIN, reading
    does not. `binding.packet.table_changes` reads it.
    """
    netlink = raw_netlink.opened(NETLINK_NETFILTER)
    netlink.settimeout(0)
    try:
        netlink.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)
    except OSError:
        netlink.close()
        raise
    return netlink


def _nfgenmsg(family: int) -> bytes:
    return struct.pack("!BBH", family, 0, 0)
