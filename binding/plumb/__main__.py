"""The only program that changes the pod's network namespace: `python -m binding.plumb ACTION…`.

* `snapshot [RESOLV_CONF [-]]` prints the pod's links (a Snapshot) and needs no privilege. With `-`
  it reads a former Snapshot on stdin, in a second line links that were plugged in since (a tuple of
  Link), and takes from them what has been rewired since.
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
import sys

from binding.process import lean  # noqa: F401  # before what imports dataclasses

# isort: split
from binding.ipc import codec
from binding.ipc.snapshot import Link, Snapshot, merged, with_plugged
from binding.plumb.answer import say
from binding.process import capabilities, logs, oom

_ACTIONS = (["wire"], ["guard"], ["wire", "guard"], ["mend"], ["look"])


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
    from binding.plumb.actions import DO  # noqa: PLC0415  # not needed for a snapshot

    for action in argv:
        failed = DO[action](sys.stdin.readline())
        if failed:
            return failed
    return 0


def _snapshot(words: list[str]) -> int:
    capabilities.drop()
    from binding.plumb import snapshot  # noqa: PLC0415  # not needed for the guard

    taken = snapshot.take(words[0] if words else "/etc/resolv.conf")
    if words[1:] == ["-"]:
        former = _former(sys.stdin.readline())
        plugged = codec.decode(tuple[Link, ...], sys.stdin.readline() or "[]")
        taken = merged(taken, with_plugged(former, plugged))
    say(codec.encode(taken))
    return 0


def _former(line: str) -> Snapshot | None:
    if not line.strip():
        return None
    try:
        return codec.decode(Snapshot, line)
    except ValueError as error:
        logging.getLogger(__name__).warning("ignoring the saved snapshot: %s", str(error)[:200])
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
