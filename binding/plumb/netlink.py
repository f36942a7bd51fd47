"""pyroute2 at half its price: the only door to it.

pyroute2's own __init__ imports everything it has (0.25 s CPU and 7 MiB more than
needed, and the container has 0.2 CPU and 64 MB). An unexecuted stand-in for the
package lets its submodules be imported alone, empty ones keep out what those import
for uses that we have not (0.02 s and 3 MiB). No stand-in stays behind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

from binding.process import no_openssl  # noqa: F401  # imported for what it keeps out


class _Absent(ModuleType):
    """A module in which every name stands for itself, and does nothing."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: object, **__: object) -> object:
        return self


import asyncio  # noqa: E402, F401  # before the stand-ins, for its own imports

_stand_ins: dict[str, ModuleType] = {}
if "pyroute2" not in sys.modules:
    _spec = find_spec("pyroute2")
    assert _spec is not None
    _stand_ins["pyroute2"] = module_from_spec(_spec)
# Child processes, probes of TLS servers, mocks of sockets.
for _name in ("multiprocessing", "ssl", "unittest"):
    if sys.modules.get(_name) is None:
        _stand_ins[_name] = _Absent(_name)
_former = {_name: sys.modules[_name] for _name in _stand_ins if _name in sys.modules}
sys.modules.update(_stand_ins)

from pyroute2.iproute.linux import IPRoute  # noqa: E402  # after the stand-in
from pyroute2.netlink import nlmsg  # noqa: E402  # after the stand-ins
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError  # noqa: E402  # after the stand-ins
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # noqa: E402  # after the stand-ins
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # noqa: E402  # after the stand-ins
from pyroute2.netlink.rtnl.rtmsg import rtmsg  # noqa: E402  # after the stand-ins

for _name in _stand_ins:
    del sys.modules[_name]
sys.modules.update(_former)  # what no_openssl forbids stays forbidden

__all__ = [
    "IPRoute",
    "Message",
    "NetlinkError",
    "connect",
    "dump",
    "ifaddrmsg",
    "ifinfmsg",
    "nlmsg",
    "out",
    "request",
    "rtmsg",
]

Message = Any
"""Of pyroute2: fields by [], attributes by get()."""
_ATTEMPTS = 5


def connect() -> IPRoute:
    """Open a route netlink socket that hears no broadcasts; use it in `with`."""
    return IPRoute(groups=0)


def dump(call: Callable[..., Iterable[Message]]) -> tuple[Message, ...]:
    """Read a whole table; again when it changed meanwhile (NLM_F_DUMP_INTR)."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return tuple(call("dump"))
        except NetlinkDumpInterrupted:
            continue
    return tuple(call("dump"))


def out(hop: Message) -> int:
    """Return the link that a route or one hop of a multipath route leaves by."""
    # A hop has it in its struct, a route in an attribute.
    return int(hop.get("oif") or hop.get("RTA_OIF") or 0)


def request(ipr: IPRoute, message: Message, kind: int, flags: int) -> None:
    """Send one message of our own and wait for the kernel's word. Raises NetlinkError."""

    async def exchange() -> None:
        async for _ in await ipr.asyncore.nlm_request(message, kind, flags):
            pass

    # IPRoute.nlm_request of pyroute2 0.9.7 fails with KeyError: 'nlm_generator'.
    ipr.asyncore.event_loop.run_until_complete(exchange())
