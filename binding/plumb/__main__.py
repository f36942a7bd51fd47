"""The only program that changes the pod's network namespace: `python -m binding.plumb ACTION…`.

* `wire` wires the NICs on stdin (a tuple of Wiring), all of them or none.
* `guard` makes the GuardTable on stdin all that the kernel filters for this sidecar.
* `wire guard` does both, with a line of stdin for each, and stops at the first that fails.
* `look` compares the kernel's filters with the GuardTable on stdin and prints the Observed.
* `mend` makes again what is missing of the wirings on stdin (a Mend).

Each answer is one line of JSON on stdout. plumb then exits, so NET_ADMIN and the memory of pyroute2
are held for a moment only, and never by a program that reads a guest's frames.
"""

from __future__ import annotations

import sys

from binding.process import lean  # noqa: F401  # before what imports dataclasses

# isort: split
from binding.plumb.actions import DO
from binding.process import capabilities, logs, oom

_ACTIONS = (["wire"], ["guard"], ["wire", "guard"], ["mend"], ["look"])


def main(argv: list[str]) -> int:
    """Do what is asked; the exit code is 0 when all of it was done."""
    oom.choose_me(oom.CHILD)
    logs.to_stderr()
    if argv not in _ACTIONS:
        sys.stderr.write("usage: python -m binding.plumb [wire] [guard] | mend | look\n")
        return 2
    capabilities.hold({"NET_ADMIN"})
    for action in argv:
        failed = DO[action](sys.stdin.readline())
        if failed:
            return failed
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
