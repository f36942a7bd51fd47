"""Rules of iptables-legacy in the pod, which nf_tables does not list.

Read by getsockopt, as iptables-legacy does; numbers and layouts are those of linux/netfilter_ipv4/
ip_tables.h and linux/netfilter_ipv6/ip6_tables.h. A table is asked for only if the kernel lists
it: asking would make it, which is why those of ebtables-legacy, which are not listed, are not.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_NAME = 32
_GET_INFO, _GET_ENTRIES = 64, 65
_INFO = struct.Struct("=32s13I")  # struct ipt_getinfo, whose last field is the size of the entries
_LARGEST = 1 << 22
_STANDARD, _REJECTS = b"", (b"REJECT", b"DROP")
_TARGET_NAME, _VERDICT = slice(2, 31), slice(32, 36)
"""In a target: its name, and behind the header the verdict of a standard one."""
_DROP = struct.pack("=i", -1)  # -NF_DROP - 1


@dataclass(frozen=True, slots=True)
class _Family:
    """iptables or ip6tables: where it lists its tables, and how an entry of one is laid out."""

    name: str
    listed: str
    domain: int
    level: int
    target_at: int
    """Of `target_offset` in an entry."""


_FAMILIES = (
    _Family("iptables", "/proc/self/net/ip_tables_names", socket.AF_INET, socket.IPPROTO_IP, 88),
    _Family(
        "ip6tables", "/proc/self/net/ip6_tables_names", socket.AF_INET6, socket.IPPROTO_IPV6, 140
    ),
)


def that_drop() -> tuple[str, ...]:
    """Return a phrase for each table whose rules can drop; none where that cannot be read."""
    found: list[str] = []
    for family in _FAMILIES:
        with suppress(OSError, struct.error):
            found += _of_family(family)
    return tuple(found)


def _of_family(family: _Family) -> Iterator[str]:
    with open(family.listed) as names:  # noqa: PTH123  # plumb has no pathlib
        tables = names.read().split()
    for table in tables:
        with socket.socket(family.domain, socket.SOCK_DGRAM) as udp:
            head = table.encode()[: _NAME - 1].ljust(_NAME, b"\0")
            *_, size = _INFO.unpack(_ask(udp, family.level, _GET_INFO, head, _INFO.size))
            if size > _LARGEST:
                continue
            asked = head + struct.pack("=II", size, 0)  # struct ipt_get_entries, and padding
            entries = _ask(udp, family.level, _GET_ENTRIES, asked, len(asked) + size)
        if count := _dropping(entries[len(asked) :], family.target_at):
            yield f"table {table} of {family.name}-legacy: {count} rules or policies that drop"


def _dropping(entries: bytes, target_at: int) -> int:
    at = count = 0
    while at + target_at + 4 <= len(entries):
        offset, following = struct.unpack_from("=HH", entries, at + target_at)
        target = entries[at + offset : at + max(following, offset)]
        name = target[_TARGET_NAME].partition(b"\0")[0]
        count += name in _REJECTS or (name == _STANDARD and target[_VERDICT] == _DROP)
        if not following:
            break
        at += following
    return count


def _ask(asked: socket.socket, level: int, option: int, head: bytes, size: int) -> bytes:
    """Return what getsockopt writes over `head`, which Python's own cannot pass. Raises OSError."""
    buffer, length = ctypes.create_string_buffer(head, size), ctypes.c_uint32(size)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.getsockopt(asked.fileno(), level, option, buffer, ctypes.byref(length)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw[: length.value]
