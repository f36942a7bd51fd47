"""The only program that changes the pod's network namespace: `python -m binding.plumb ACTION…`.

* `snapshot [RESOLV_CONF [-]]` prints the pod's links (a Snapshot) and needs no privilege. With `-`
  it reads a former Snapshot on stdin and takes from it what has been rewired since.
* `wire` wires the NICs on stdin (a tuple of Wiring), all of them or none.
* `guard` makes the GuardTable on stdin all that the kernel filters for this sidecar.
* `wire guard` does both, with a line of stdin for each, and stops at the first that fails.
* `look` compares the kernel's filters with the GuardTable on stdin and prints the Observed.
* `mend` makes again what is missing of the wirings on stdin (a Mend).

Each answer is one line of JSON on stdout. plumb then exits, so NET_ADMIN and the memory of pyroute2
are held for a moment only, and never by a program that reads a guest's frames.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import stat
import sys
from contextlib import suppress
from dataclasses import replace
from errno import EPERM
from pathlib import Path

from binding.ipc import codec
from binding.ipc.messages import Guarded, Undone, Wired
from binding.ipc.snapshot import Snapshot, merged
from binding.ipc.wiring import Mend, Wiring
from binding.packet.guard import GuardTable
from binding.process import capabilities, logs, no_openssl, oom  # noqa: F401  # keeps OpenSSL out

_ACTIONS = (["wire"], ["guard"], ["wire", "guard"], ["mend"], ["look"])
_STDOUT = 1


def main(argv: list[str]) -> int:
    """Do what is asked; the exit code is 0 when all of it was done."""
    oom.choose_me()
    logs.to_stderr()
    if argv[:1] == ["snapshot"] and len(argv) <= 3:
        return _snapshot(argv[1:])
    if argv not in _ACTIONS:
        sys.stderr.write(
            "usage: python -m binding.plumb "
            "snapshot [RESOLV_CONF [-]] | [wire] [guard] | mend | look\n"
        )
        return 2
    capabilities.hold({"NET_ADMIN"})
    for action in argv:
        failed = _DO[action](sys.stdin.readline())
        if failed:
            return failed
    return 0


def _snapshot(words: list[str]) -> int:
    capabilities.drop()
    from binding.plumb import snapshot  # noqa: PLC0415  # pyroute2 only where it is needed

    taken = snapshot.take(Path(words[0] if words else "/etc/resolv.conf"))
    if words[1:] == ["-"]:
        taken = merged(taken, _former(sys.stdin.readline()))
    _say(codec.encode(taken))
    return 0


def _former(line: str) -> Snapshot | None:
    if not line.strip():
        return None
    try:
        return codec.decode(Snapshot, line)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        logging.getLogger(__name__).warning("ignoring the saved snapshot: %s", reason)
        return None


def _wire(asked: str) -> int:
    stop = _Stop()
    from binding.plumb import wire  # noqa: PLC0415  # pyroute2 only where it is needed
    from binding.plumb.netlink import connect  # noqa: PLC0415  # pyroute2 only where it is needed
    from binding.plumb.steps import StepError  # noqa: PLC0415  # pyroute2 only where it is needed

    try:
        with connect() as ipr:
            wired, adopted = wire.wire(ipr, codec.decode(tuple[Wiring, ...], asked), stop.check)
    except wire.LinkError as error:
        return _fail("look at the pod's links", str(error))
    except StepError as error:
        left = f"; NOT undone: {', '.join(error.remains)}" if error.remains else ""
        return _fail(error.step, _reason(error.cause) + left, _privilege(error.cause))
    _say(codec.encode(Wired(tuple(wired), tuple(adopted))))
    return 0


def _mend(asked: str) -> int:
    from binding.plumb.mend import mend  # noqa: PLC0415  # pyroute2 only where it is needed
    from binding.plumb.netlink import connect  # noqa: PLC0415  # pyroute2 only where it is needed
    from binding.plumb.steps import StepError  # noqa: PLC0415  # pyroute2 only where it is needed

    try:
        with connect() as ipr:
            done = mend(ipr, codec.decode(Mend, asked))
    except StepError as error:
        return _fail(error.step, _reason(error.cause), _privilege(error.cause))
    for step in done:
        logging.getLogger(__name__).info("mended: %s", step)
    _say(codec.encode(Wired(tuple(done), ())))
    return 0


def _guard(asked: str) -> int:
    from binding.plumb import nfnetlink  # noqa: PLC0415  # not needed for a snapshot

    table = codec.decode(GuardTable, asked)
    try:
        with nfnetlink.changes() as changes:  # before the guard is set: no change is missed
            own = _set_guard(table)
            _say(codec.encode(Guarded(own, tuple(one.link for one in table.filters))), changes)
    except nfnetlink.TransactionError as error:
        return _fail(error.step, _reason(error), _privilege(error))
    except OSError as error:
        reason = f"{error.strerror or error}: does this kernel have nf_tables?"
        return _fail("set the guard", reason, _privilege(error))
    return 0


def _look(asked: str) -> int:
    from binding.plumb import foreign_tables, guard_table  # noqa: PLC0415  # not needed for a snapshot

    table = codec.decode(GuardTable, asked)
    try:
        foreign = foreign_tables.that_drop(table.name)
        observed = replace(guard_table.observed(table), foreign=foreign)
    except OSError as error:
        return _fail("look at the guard", str(error.strerror or error), _privilege(error))
    _say(codec.encode(observed))
    return 0


def _set_guard(table: GuardTable) -> int:
    """Set the guard, with listening bridges where the kernel's nf_tables can copy frames (dup).

    Returns the number by which the kernel's notices of this change name their sender.
    """
    from binding.packet import links  # noqa: PLC0415  # not needed for a snapshot
    from binding.plumb import guard_table, listening_bridge, nfnetlink  # noqa: PLC0415  # not needed for a snapshot

    heard = [one.link for one in table.filters if one.hear and links.index(one.link)]
    made: tuple[str, ...] = ()
    with suppress(OSError):
        made = listening_bridge.make(heard)
    try:
        own = guard_table.replace(table)
    except nfnetlink.TransactionError:
        if not made:
            raise
        listening_bridge.remove(made)
        return guard_table.replace(table)
    with suppress(OSError):  # then our packet sockets listen at the links themselves
        listening_bridge.bring_up(heard)
    return own


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


def _say(answer: str, beside: socket.socket | None = None) -> None:
    """Print one answer, with a descriptor beside its first byte where stdout can carry it."""
    data = f"{answer}\n".encode()
    if beside is not None and stat.S_ISSOCK(os.fstat(_STDOUT).st_mode):
        with socket.socket(fileno=os.dup(_STDOUT)) as stdout:
            sent = socket.send_fds(stdout, [data], [beside.fileno()])
        data = data[sent:]
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _fail(step: str, error: str, privilege: str = "") -> int:
    _say(codec.encode(Undone(step, error, privilege)))
    return 1


def _reason(error: Exception) -> str:
    return str(error.args[1] if len(error.args) > 1 else error)


def _privilege(error: Exception) -> str:
    """Return what the container was not granted, if that is why it failed."""
    code = getattr(error, "code", None) or getattr(error, "errno", None)
    return getattr(error, "privilege", "NET_ADMIN" if code == EPERM else "")


_DO = {"wire": _wire, "guard": _guard, "mend": _mend, "look": _look}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
