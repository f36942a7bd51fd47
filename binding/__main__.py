"""`python -m binding`: the sidecar, and what an operator asks of a running one."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from binding.process import logs, no_openssl  # noqa: F401  # imported for what it keeps out
from binding.version import VERSION


def _arguments() -> argparse.Namespace:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--hooks-dir",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="where virt-launcher looks for hook sockets (default: /var/run/kubevirt-hooks)",
    )
    shared.add_argument(
        "--plugin-dir",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="be KubeVirt's structured plugin there instead (default: $DSBRIDGE_PLUGIN_DIR)",
    )
    parser = argparse.ArgumentParser(prog="dsbridge", description=__doc__, parents=[shared])
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info"
    )
    parser.set_defaults(command="run")
    commands = parser.add_subparsers(title="commands for a running sidecar")
    status = commands.add_parser(
        "status", parents=[shared], help="show guests, counters and warnings"
    )
    status.set_defaults(command="status", form="text")
    forms = status.add_mutually_exclusive_group()
    for form in ("json", "prometheus"):
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form)
    status.add_argument("--watch", action="store_true", help="again every 2 seconds")
    diagnose = commands.add_parser(
        "diagnose", parents=[shared], help="say what is wrong, and the remedy"
    )
    diagnose.set_defaults(command="diagnose")
    capture = commands.add_parser("capture", help="write a guest's DHCP, RA and ND as pcap")
    capture.set_defaults(command="capture")
    capture.add_argument("tap", nargs="?", default="tap0", help="default: tap0")
    arguments = parser.parse_args()
    hooks_dir = getattr(arguments, "hooks_dir", None)
    plugin_dir = getattr(arguments, "plugin_dir", None)
    if not hooks_dir and not plugin_dir and (given := os.environ.get("DSBRIDGE_PLUGIN_DIR")):
        plugin_dir = Path(given)
    arguments.structured = bool(plugin_dir)
    arguments.directory = plugin_dir or hooks_dir or Path("/var/run/kubevirt-hooks")
    return arguments


def main() -> int:
    """Run the sidecar until the VM ends, or one command. Returns the exit status."""
    arguments = _arguments()
    if arguments.command == "capture":
        from binding.operator.capture import capture  # noqa: PLC0415  # the sidecar does without

        return capture(arguments.tap)
    if arguments.command != "run":
        from binding.operator import commands  # noqa: PLC0415  # likewise

        if arguments.command == "diagnose":
            return commands.diagnose(arguments.directory)
        return commands.status(arguments.directory, arguments.form, watch=arguments.watch)
    logs.to_stderr(arguments.log_level)
    from binding.sidecar import start  # noqa: PLC0415  # after the log: gRPC may have something to say

    return start.run(arguments.directory, structured=arguments.structured)


if __name__ == "__main__":
    sys.exit(main())
