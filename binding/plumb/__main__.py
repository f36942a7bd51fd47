"""The short-lived child that talks to the kernel: `python -m binding.plumb ACTION`.

`snapshot` prints the pod's links (a Snapshot) and needs no privilege. `wire` wires the
NICs on stdin (a tuple of Wiring), all or none. `guard` makes the Table on stdin all that
the kernel filters for this sidecar. `wire guard` does both, a line of stdin for each, and
stops at the first that fails. An answer is one line of JSON on stdout. It exits before
anybody parses a guest's bytes, so NET_ADMIN and the memory of pyroute2 are held for a
moment only.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from errno import EPERM
from pathlib import Path

from binding.ipc import codec  # imported for what it keeps out
from binding.ipc.wiring import Wiring
from binding.packet.guard import Table
from binding.process import capabilities, no_openssl  # noqa: F401  # imported for what it keeps out

_ACTIONS = (["wire"], ["guard"], ["wire", "guard"])


def main(argv: list[str]) -> int:
    """Do what is asked; the exit code is 0 when all of it was done."""
    if argv[:1] == ["snapshot"] and len(argv) <= 2:
        return _snapshot(Path((argv[1:] or ["/etc/resolv.conf"])[0]))
    if argv not in _ACTIONS:
        sys.stderr.write("usage: python -m binding.plumb snapshot [RESOLV_CONF] | [wire] [guard]\n")
        return 2
    capabilities.hold({"NET_ADMIN"})
    for action in argv:
        asked = sys.stdin.readline()
        if action == "wire":
            failed = _wire(codec.decode(tuple[Wiring, ...], asked))
        else:
            failed = _guard(codec.decode(Table, asked))
        if failed:
            return failed
    return 0


def _snapshot(resolv_conf: Path) -> int:
    capabilities.drop()
    from binding.plumb import snapshot  # noqa: PLC0415  # pyroute2 only where it is needed

    sys.stdout.write(codec.encode(snapshot.take(resolv_conf)) + "\n")
    return 0


def _wire(wirings: tuple[Wiring, ...]) -> int:
    stop = _Stop()
    from binding.plumb import wire  # noqa: PLC0415  # pyroute2 only where it is needed
    from binding.plumb.netlink import connect  # noqa: PLC0415  # pyroute2 only where it is needed
    from binding.plumb.steps import StepError  # noqa: PLC0415  # pyroute2 only where it is needed

    try:
        with connect() as ipr:
            wired, adopted = wire.wire(ipr, wirings, stop.check)
    except wire.LinkError as error:
        return _fail("look at the pod's links", str(error))
    except StepError as error:
        left = f"; NOT undone: {', '.join(error.remains)}" if error.remains else ""
        return _fail(error.step, _reason(error.cause) + left, _privilege(error.cause))
    sys.stdout.write(json.dumps({"wired": wired, "adopted": adopted}) + "\n")
    return 0


def _guard(table: Table) -> int:
    from binding.plumb import nfnetlink  # noqa: PLC0415  # not needed for a snapshot

    try:
        _set_guard(table)
    except nfnetlink.RefusedError as error:
        return _fail(error.step, _reason(error), _privilege(error))
    except OSError as error:
        return _fail(
            "set the guard", f"{error.strerror or error}: does this kernel have nf_tables?"
        )
    sys.stdout.write(json.dumps({"links": [one.link for one in table.filters]}) + "\n")
    return 0


def _set_guard(table: Table) -> None:
    """Set it with ears where the kernel can have them: it may lack nf_tables' fwd and dup."""
    from binding.packet import links  # noqa: PLC0415  # not needed for a snapshot
    from binding.plumb import guard_table, listening_bridge, nfnetlink  # noqa: PLC0415  # not needed for a snapshot

    heard = [one.link for one in table.filters if one.hear and links.index(one.link)]
    made: tuple[str, ...] = ()
    with suppress(OSError):
        made = listening_bridge.make(heard)
    try:
        guard_table.replace(table)
    except nfnetlink.RefusedError:
        if not made:
            raise
        listening_bridge.remove(made)
        guard_table.replace(table)
    else:
        with suppress(OSError):  # then our sockets listen at the links themselves
            listening_bridge.bring_up(heard)


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
    sys.stdout.write(json.dumps({"step": step, "error": error, "privilege": privilege}) + "\n")
    return 1


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error.args[1] if len(error.args) > 1 else error)


def _privilege(error: Exception) -> str:
    """Return what the container was not granted, if that is why it failed."""
    if isinstance(error, OSError) and error.filename:
        return str(error.filename)
    code = getattr(error, "code", None) or getattr(error, "errno", None)
    return "NET_ADMIN" if code == EPERM else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
