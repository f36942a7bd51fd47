"""Notices of the kernel about nf_tables: whether another program has changed our table.

The sidecar reads it from a socket that `binding.plumb.nfnetlink.changes` has opened, at rest,
too: so this is the standard library only.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

NFPROTO_INET, NFPROTO_IPV4, NFPROTO_ARP, NFPROTO_NETDEV = 1, 2, 3, 5
NFPROTO_BRIDGE, NFPROTO_IPV6 = 7, 10
OURS = (NFPROTO_NETDEV, NFPROTO_IPV4)
"""Families of which the guard has a table: they hook into links, and into what the pod does with
IPv4."""
FAMILIES = {
    NFPROTO_INET: "inet",
    NFPROTO_IPV4: "ip",
    NFPROTO_ARP: "arp",
    NFPROTO_NETDEV: "netdev",
    NFPROTO_BRIDGE: "bridge",
    NFPROTO_IPV6: "ip6",
}
"""Families of tables that can drop a guest's frames, with their names in nft(8)."""
_NFNL_SUBSYS_NFTABLES = 10
_NFT_MSG_NEWCHAIN, _NFT_MSG_NEWRULE, _NFT_MSG_NEWGEN = 3, 6, 15
_NLMSG_NOOP = 1
_NFTA_TABLE = 1
"""NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_OBJ_TABLE."""
_HEADER = struct.Struct("=IHHII")
_NFGENMSG = 4
"""Octets of a struct nfgenmsg, which begins with the protocol family."""
_LONGEST = 1 << 16


def changed(
    notices: socket.socket, table: str, own: int | None = None, others: set[str] | None = None
) -> bool:
    """Read all that a non-blocking socket holds; say whether our table may not be as we set it.

    `own` is the sender whose changes do not count, as `guard_table.replace` returned it: the
    process id of `binding.plumb`, unless another socket in the netns had that number. `others`
    takes the tables of other programs that were given chains or rules, as `family name`.
    """
    concerned = False
    while True:
        try:
            datagram, _, flags, _ = notices.recvmsg(_LONGEST)
        except BlockingIOError:
            return concerned
        except OSError as error:
            concerned = True  # notices were lost, or cannot be read for want of memory
            if error.errno == errno.ENOBUFS:
                continue
            return concerned
        concerned |= bool(flags & socket.MSG_TRUNC) or concerns(datagram, table, own)
        if others is not None:
            others.update(foreign(datagram))


def concerns(datagram: bytes, table: str, own: int | None = None) -> bool:
    """Say whether a datagram tells of a change of our table, made by another sender than `own`.

    One that cannot be read may do so.
    """
    try:
        return any(
            sender != own and family in OURS and name == table
            for sender, family, name, _ in _changes(datagram)
        )
    except (struct.error, UnicodeDecodeError, ValueError):
        return True


def foreign(datagram: bytes) -> set[str]:
    """Return the tables, not of a dsbridge, that got a chain or a rule."""
    with suppress(struct.error, UnicodeDecodeError, ValueError):
        return {
            f"{FAMILIES[family]} {name}"
            for _, family, name, message in _changes(datagram)
            if message in (_NFT_MSG_NEWCHAIN, _NFT_MSG_NEWRULE)
            and family in FAMILIES
            and not (family in OURS and name.startswith("dsbridge"))
        }
    return set()


def _changes(datagram: bytes) -> Iterator[tuple[int, int, str, int]]:
    """Yield sender, protocol family, table and kind of each change."""
    offset = 0
    while offset < len(datagram):
        length, kind, _, _, sender = _HEADER.unpack_from(datagram, offset)
        subsystem, message = divmod(kind, 256)
        shortest = _HEADER.size + (_NFGENMSG if subsystem else 0)
        if not shortest <= length <= len(datagram) - offset:
            raise ValueError(length)
        if subsystem == _NFNL_SUBSYS_NFTABLES and message != _NFT_MSG_NEWGEN:
            body = datagram[offset + _HEADER.size : offset + length]
            yield sender, body[0], _table(body[_NFGENMSG:]), message
        elif subsystem == 0 and kind != _NLMSG_NOOP:
            raise ValueError(kind)  # NLMSG_OVERRUN, NLMSG_ERROR
        offset += (length + 3) & ~3


def _table(attributes: bytes) -> str:
    while attributes:
        length, kind = struct.unpack_from("=HH", attributes)
        if not 4 <= length <= len(attributes):
            raise ValueError(length)
        if kind == _NFTA_TABLE:
            return attributes[4:length].rstrip(b"\0").decode()
        attributes = attributes[(length + 3) & ~3 :]
    return ""
