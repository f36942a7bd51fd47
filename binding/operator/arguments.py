"""The command line of an operator's commands."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from binding.process import hooks_directory, logs
from binding.version import VERSION

_FORMS = ("text", "wide", "json", "prometheus", "rows", "warnings")
PROTOCOLS = ("dhcp4", "dhcp6", "nd", "arp")


_USAGE = 64
"""EX_USAGE: argparse's own 2 would mean that a guest is harmed."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError(text)
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_seconds.__name__, _count.__name__ = "number of seconds", "number of frames"


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return command, directory and what else the command takes; exits for what is none."""
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--hooks-dir",
        default=argparse.SUPPRESS,
        metavar="DIR",
        help=f"where virt-launcher looks for hook sockets (default: {hooks_directory.DEFAULT})",
    )
    shared.add_argument(
        "--plugin-dir",
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="be KubeVirt's structured plugin there instead (default: $DSBRIDGE_PLUGIN_DIR)",
    )
    parser = _Parser(
        prog="dsbridge",
        description="Without a command: run the sidecar until the VM ends.",
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument("--log-level", choices=logs.LEVELS, help="default: $DSBRIDGE_LOG, or info")
    commands = parser.add_subparsers(
        title="commands for a running sidecar", dest="command", required=True
    )
    _status(commands.add_parser("status", parents=[shared], help="show guests and counters"))
    diagnose = commands.add_parser(
        "diagnose", parents=[shared], help="say what is wrong, and the remedy"
    )
    diagnose.epilog = (
        "Exit status: 0 nothing wrong, 1 warnings, 2 a guest is harmed, 3 no sidecar, "
        "64 wrong arguments."
    )
    diagnose.add_argument("--json", action="store_true", help="print the findings as JSON")
    _capture(commands.add_parser("capture", parents=[shared], help="write DHCP, RA, ND as pcapng"))
    gather = commands.add_parser(
        "gather", parents=[shared], help="write all that helps to find a fault as one tar"
    )
    gather.add_argument(
        "--seconds", type=_seconds, default=5.0, help="length of the capture in it (default: 5)"
    )
    _reload(
        commands.add_parser(
            "reload", parents=[shared], help="take a NIC's settings anew while the VM runs"
        )
    )
    arguments = parser.parse_args(words)
    given = getattr(arguments, "hooks_dir", None), getattr(arguments, "plugin_dir", None)
    arguments.directory = Path(hooks_directory.chosen(*given)[0])
    return arguments


def _status(status: argparse.ArgumentParser) -> None:
    status.set_defaults(form="text")
    forms = status.add_mutually_exclusive_group()
    forms.add_argument("-o", "--output", dest="form", choices=_FORMS, help="default: text")
    for form in ("json", "prometheus"):
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form)
    status.add_argument("--watch", action="store_true", help="again every 2 seconds")


def _reload(reload: argparse.ArgumentParser) -> None:
    reload.description = (
        "Reads the JSON of the annotation dsbridge.io/NETWORK on stdin; without any, the pod's "
        "annotations in /etc/dsbridge/annotations. Bad settings are refused, and all is as before."
    )
    reload.add_argument("network", nargs="?", default="", help="default: the VM's only NIC")
    reload.add_argument("--reset", action="store_true", help="as the VMI has it, again")
    reload.add_argument("--json", action="store_true", help="print what changes as JSON")
    reload.epilog = "Exit status: 0 reloaded, 1 refused, 3 no sidecar."


def _capture(capture: argparse.ArgumentParser) -> None:
    capture.add_argument("tap", nargs="*", help="default: the taps of all guests")
    capture.add_argument("-w", dest="file", type=Path, help="write there instead of to stdout")
    capture.add_argument(
        "-c", dest="count", type=_count, default=0, help="end after so many frames"
    )
    capture.add_argument(
        "-t", dest="seconds", type=_seconds, default=0.0, help="end after that time"
    )
    capture.add_argument(
        "-p", dest="protocols", action="append", choices=PROTOCOLS, help="only this; repeatable"
    )
