"""Netlink without a library: messages, attributes and lists of rtnetlink and nf_tables.

pyroute2 takes 0.1 s of CPU to import, half a second at 200m CPU, and 10 MiB. Numbers are those of
linux/netlink.h and linux/rtnetlink.h. Reading needs no privilege.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLM_F_REQUEST, NLM_F_ACK = 0x01, 0x04
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
RTPROT_REDIRECT, RTPROT_KERNEL, RTPROT_RA = 1, 2, 9
"""Who made a route."""
_NLM_F_DUMP, _NLM_F_DUMP_INTR = 0x300, 0x10
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_MESSAGE = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
_TYPE = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
CHUNK = 1 << 17
_TIMEOUT = 5.0
_ATTEMPTS = 5


class KernelMessage(NamedTuple):
    """One message of the kernel."""

    kind: int
    flags: int
    number: int
    """Serial number; the answers to a request repeat that of the request."""
    payload: bytes


def packed(number: int, kind: int, flags: int, body: bytes) -> bytes:
    """Return a request."""
    return _MESSAGE.pack(_MESSAGE.size + len(body), kind, flags | NLM_F_REQUEST, number, 0) + body


def opened(protocol: int) -> socket.socket:
    """Return a socket for requests and their answers. Raises OSError."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    netlink.settimeout(_TIMEOUT)
    netlink.bind((0, 0))
    return netlink


def messages(data: bytes) -> Iterator[KernelMessage]:
    """Yield the messages in what a socket has received; one that was cut ends them."""
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, flags, number, _ = _MESSAGE.unpack_from(data, at)
        if not _MESSAGE.size <= length <= len(data) - at:
            return
        yield KernelMessage(kind, flags, number, data[at + _MESSAGE.size : at + length])
        at += (length + 3) & ~3


def acknowledged(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield serial number and errno of each acknowledgement; errno 0: it was done."""
    for message in messages(data):
        if message.kind == _NLMSG_ERROR:
            yield message.number, _errno(message.payload)


def dump(kind: int, body: bytes, protocol: int = NETLINK_ROUTE) -> list[bytes]:
    """Return the payload of each object that the kernel lists. Raises OSError.

    Read again when something changed meanwhile (NLM_F_DUMP_INTR).
    """
    for _ in range(_ATTEMPTS - 1):
        found, is_whole = _dump(kind, body, protocol)
        if is_whole:
            return found
    return _dump(kind, body, protocol)[0]


def _dump(kind: int, body: bytes, protocol: int) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    is_whole = True
    with opened(protocol) as netlink:
        netlink.send(packed(1, kind, _NLM_F_DUMP, body))
        while True:
            for message in messages(netlink.recv(CHUNK)):
                is_whole = is_whole and not message.flags & _NLM_F_DUMP_INTR
                if message.kind == _NLMSG_DONE:
                    return found, is_whole
                if message.kind == _NLMSG_ERROR:
                    code = _errno(message.payload)
                    raise OSError(code, f"netlink does not list ({os.strerror(code)})")
                found.append(message.payload)


def _errno(payload: bytes) -> int:
    return -int.from_bytes(payload[:4], sys.byteorder, signed=True)


def watch(groups: int) -> socket.socket:
    """Return a socket of rtnetlink that hears of changes, by RTMGRP_…. Raises OSError."""
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    netlink = socket.socket(socket.AF_NETLINK, kind, NETLINK_ROUTE)
    try:
        netlink.bind((0, groups))
    except OSError:
        netlink.close()
        raise
    return netlink


def each_attribute(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Yield type, whether marked as nested, and value of the attributes in data."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            return
        yield kind & _TYPE, bool(kind & _NESTED), data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    """Return the attributes in data by their type."""
    return {kind: value for kind, _, value in each_attribute(data)}


def as_text(value: bytes) -> str:
    """Return the text of a string attribute."""
    return value.rstrip(b"\0").decode(errors="replace")


def as_number(value: bytes) -> int:
    """Return a number in the host's order, as rtnetlink has them; 0 of an empty value."""
    return int.from_bytes(value, sys.byteorder)


def attribute(kind: int, value: bytes) -> bytes:
    """Return a netlink attribute, padded."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind: int, value: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | _NESTED, value)


def text(kind: int, value: str) -> bytes:
    """Return a string attribute."""
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    """Return a number in network order, as nf_tables has them."""
    return attribute(kind, struct.pack("!I", value))
