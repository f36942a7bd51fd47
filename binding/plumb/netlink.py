"""Route netlink by pyroute2: the sockets, messages and errors that plumb uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import ENODEV
from typing import Any

from binding.packet import links
from binding.packet.raw_netlink import packed
from binding.plumb.lean_pyroute2 import stand_ins
from binding.process.lazy import unused

_UNUSED = (
    "multiprocessing",  # child processes
    "pyroute2.netlink.rt_files",  # names in the files of iproute2
    "pyroute2.netlink.rtnl.tcmsg",  # traffic control
    "pyroute2.requests.tc",
    "ssl",  # probes of TLS servers
    "unittest",  # mocks of sockets
)

# dataclasses would have inspect write the docstring of a class of pyroute2's.
with stand_ins("pyroute2", *_UNUSED), unused("inspect", "signature"):
    from pyroute2.iproute.linux import IPRoute
    from pyroute2.netlink import nlmsg
    from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.ndmsg import ndmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

__all__ = [
    "IPRoute",
    "NetlinkError",
    "NetlinkMessage",
    "connect",
    "dump",
    "ifaddrmsg",
    "ifinfmsg",
    "link_index",
    "ndmsg",
    "nlmsg",
    "out",
    "read",
    "renew",
    "request",
    "rtmsg",
]

NetlinkMessage = Any
"""A message of pyroute2: header fields by [], attributes by get()."""
_ATTEMPTS = 5


@contextmanager
def connect() -> Iterator[IPRoute]:
    """Open a route netlink socket that gets no notifications."""
    ipr = IPRoute(groups=0)
    try:
        yield ipr
    finally:
        with suppress(OSError):  # an error in receiving, which was raised already
            ipr.close()


def renew(ipr: IPRoute) -> None:
    """Give it another socket: after an error in receiving pyroute2 uses the old one no more.

    Where the node has no descriptor or memory for another, the old one stays: it may be well.
    """
    with suppress(OSError):
        former, ipr.asyncore = ipr.asyncore, IPRoute(groups=0).asyncore
        former.close()


def link_index(ipr: IPRoute, link: str) -> int:
    """Return the index of a link. Raises NetlinkError where there is none of that name.

    By ioctl: pyroute2 would read all that the kernel says of the link, which takes half a
    millisecond of CPU, ten times in a hook call.
    """
    found = links.index(link, ipr.fileno())
    if found is None:
        raise NetlinkError(ENODEV)
    return found


def dump(call: Callable[..., Iterable[NetlinkMessage]]) -> tuple[NetlinkMessage, ...]:
    """Read a whole table, once more when the kernel changed it meanwhile (NLM_F_DUMP_INTR)."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return tuple(call("dump"))
        except NetlinkDumpInterrupted:
            continue
    return tuple(call("dump"))


def out(hop: NetlinkMessage) -> int:
    """Return the index of the link that a route, or one hop of a multipath route, leaves by."""
    # A hop has the index in its struct, a route in an attribute.
    return int(hop.get("oif") or hop.get("RTA_OIF") or 0)


def read(kind: Callable[[bytes], NetlinkMessage], payload: bytes) -> NetlinkMessage:
    """Return a message of the kernel from its payload."""
    message = kind(packed(0, 0, 0, payload))
    message.decode()
    return message


def request(ipr: IPRoute, message: NetlinkMessage, kind: int, flags: int) -> None:
    """Send one message and wait for the kernel's acknowledgement. Raises NetlinkError."""

    async def exchange() -> None:
        async for _ in await ipr.asyncore.nlm_request(message, kind, flags):
            pass

    # IPRoute.nlm_request of pyroute2 0.9.7 fails with KeyError: 'nlm_generator'.
    ipr.asyncore.event_loop.run_until_complete(exchange())
