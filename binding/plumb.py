"""The short-lived child that talks to the kernel: `python -m binding.plumb ACTION`.

Its answer is one JSON value on stdout. It exits before anybody parses a guest's
bytes, so NET_ADMIN and the memory of pyroute2 are held for a moment only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from binding import caps, codec


def main(argv: list[str] | None = None) -> int:
    """Run one action; the exit code is 0 when it was done."""
    parser = argparse.ArgumentParser(prog="python -m binding.plumb", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    read = actions.add_parser("snapshot", help="print the pod's links (a Snapshot); no privilege")
    read.add_argument("--resolv", type=Path, default=Path("/etc/resolv.conf"))
    arguments = parser.parse_args(argv)
    return _snapshot(arguments.resolv)


def _snapshot(resolv_conf: Path) -> int:
    caps.drop()
    from binding import netlink_snapshot  # noqa: PLC0415  # pyroute2 only where it is needed

    print(codec.encode(netlink_snapshot.take(resolv_conf)))  # noqa: T201  # the answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
