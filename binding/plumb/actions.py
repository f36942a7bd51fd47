"""What plumb does with NET_ADMIN, one function for each action.

Each takes its line of input, says its answer, and returns the exit code.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from errno import EPERM
from typing import TYPE_CHECKING

from binding.ipc import codec
from binding.ipc.messages import Undone, Wired
from binding.ipc.wiring import Mend, Wiring
from binding.packet.guard import GuardTable
from binding.plumb import guard_table, nfnetlink
from binding.plumb.answer import say
from binding.plumb.set_guard import set_guard
from binding.plumb.steps import StepError
from binding.process.shortage import passes

if TYPE_CHECKING:
    from binding.plumb.netlink import IPRoute

_LOOK = "look at the pod's links"


def _wire(asked: str) -> int:
    stop = _Stop()
    from binding.plumb.wire import wire  # noqa: PLC0415  # pyroute2 only where it is needed

    wirings = codec.decode(tuple[Wiring, ...], asked)
    return _change_links(lambda ipr: wire(ipr, wirings, stop.check))


def _mend(asked: str) -> int:
    from binding.plumb.mend import mend  # noqa: PLC0415  # pyroute2 only where it is needed

    broken = codec.decode(Mend, asked)
    return _change_links(lambda ipr: Wired(mend(ipr, broken), ()))


def _change_links(change: Callable[[IPRoute], Wired]) -> int:
    from binding.plumb.netlink import (  # noqa: PLC0415  # pyroute2 only where it is needed
        NetlinkError,
        connect,
    )
    from binding.plumb.wire import LinkError  # noqa: PLC0415  # pyroute2 only where it is needed

    try:
        with connect() as ipr:
            done = change(ipr)
    except (LinkError, OSError, NetlinkError) as error:
        return _fail(_LOOK, _reason(error))
    except StepError as error:
        left = f"; NOT undone: {', '.join(error.remains)}" if error.remains else ""
        return _fail(error.step, _reason(error.cause) + left, _privilege(error.cause))
    say(codec.encode(done))
    return 0


def _guard(asked: str) -> int:
    table = codec.decode(GuardTable, asked)
    try:
        with nfnetlink.changes() as changes:  # before the guard is set: no change is missed
            say(codec.encode(set_guard(table)), changes)
    except nfnetlink.TransactionError as error:
        return _fail(error.step, _reason(error), _privilege(error))
    except OSError as error:
        doubt = "" if passes(error) else ": does this kernel have nf_tables?"
        return _fail("set the guard", f"{error.strerror or error}{doubt}", _privilege(error))
    return 0


def _look(asked: str) -> int:
    from binding.plumb import foreign_tables  # noqa: PLC0415  # a hook call does without

    table = codec.decode(GuardTable, asked)
    try:
        foreign = foreign_tables.that_drop(table.name)
        observed = replace(guard_table.observed(table), foreign=foreign)
    except OSError as error:
        return _fail("look at the guard", str(error.strerror or error), _privilege(error))
    say(codec.encode(observed))
    return 0


class _Stop:
    """SIGTERM and SIGINT, heeded only where it is safe to stop."""

    def __init__(self) -> None:
        self._signal = 0
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, self._note)

    def _note(self, number: int, _frame: object) -> None:
        self._signal = number

    def check(self) -> None:
        if self._signal:
            raise InterruptedError(f"stopped by {signal.Signals(self._signal).name}")


def _fail(step: str, error: str, privilege: str = "") -> int:
    say(codec.encode(Undone(step, error, privilege)))
    return 1


def _reason(error: Exception) -> str:
    return str(error.args[1] if len(error.args) > 1 else error)


def _privilege(error: Exception) -> str:
    """Return what the container was not granted, if that is why it failed."""
    code = getattr(error, "code", None) or getattr(error, "errno", None)
    return getattr(error, "privilege", "NET_ADMIN" if code == EPERM else "")


DO: dict[str, Callable[[str], int]] = {"wire": _wire, "guard": _guard, "mend": _mend, "look": _look}
