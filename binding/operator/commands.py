"""What an operator runs inside the sidecar, by `kubectl exec`.

The pod's IP address belongs to the guest, so nothing of this can be had over the network.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from binding.operator import lean  # noqa: F401  # before what imports argparse

# isort: split
from binding.ipc.codec import plain
from binding.operator import arguments, ask

_EVERY = 2.0
_NO_SIDECAR = 3


def main(words: Sequence[str]) -> int:
    """Run one command; return its exit status. Each imports what it needs and no more."""
    # A shell starts what is in its background with SIGINT ignored; --watch and capture end by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    given = arguments.parse(words)
    try:
        match given.command:
            case "capture":
                from binding.operator.capture import capture  # noqa: PLC0415  # see above

                return capture(given)
            case "gather":
                from binding.operator.gather import gather  # noqa: PLC0415  # see above

                return gather(given.directory, given.seconds)
            case "reload":
                from binding.operator.reload import reload  # noqa: PLC0415  # see above

                return reload(given)
            case "diagnose":
                return diagnose(given.directory, as_json=given.json)
            case _:
                return status(given.directory, given.form, watch=given.watch)
    except BrokenPipeError:  # `dsbridge status | head`
        return 0


def status(directory: Path, form: str, *, watch: bool) -> int:
    """Print the state of the sidecar that serves a directory, once or every 2 s.

    `form` is text, wide, json, prometheus, rows or warnings. Returns the exit status.
    """
    with suppress(KeyboardInterrupt):
        while True:
            said = rendered(directory, form)
            if said is None:
                return _NO_SIDECAR
            if watch and sys.stdout.isatty():
                sys.stdout.write("\x1b[H\x1b[2J")
            sys.stdout.write(said + "\n")
            sys.stdout.flush()
            if not watch:
                break
            time.sleep(_EVERY)
    return 0


def rendered(directory: Path, form: str) -> str | None:
    """Return the status object in this form; None when no sidecar answers."""
    if form == "json":
        return ask.text(directory)
    answer = ask.status(directory)
    if answer is None:
        return None
    if form == "prometheus":
        from binding.operator import look, metrics  # noqa: PLC0415  # as in main

        looked = look.packet_filters(answer)[0]
        return metrics.prometheus(answer, looked.dropped if looked else ())
    if form == "rows":
        from binding.operator import rows  # noqa: PLC0415  # as in main

        return rows.rows(answer)
    if form == "warnings":
        from binding.operator.warning_rows import warning_rows  # noqa: PLC0415  # as in main

        return warning_rows(answer)
    from binding.operator import text  # noqa: PLC0415  # as in main

    return text.text(answer, wide=form == "wide")


def diagnose(directory: Path, *, as_json: bool) -> int:
    """Print what is well and what is not, with its remedy; return 0 to 3 as `diagnose` says."""
    from binding.operator import diagnose, look  # noqa: PLC0415  # as in main

    answer = ask.status(directory)
    if answer is None:
        return diagnose.NO_SIDECAR
    seen = look.take(answer, directory)
    # What has ended or come up while it was looked is told as it is now.
    found = diagnose.findings(ask.status(directory) or answer, seen)
    if as_json:
        sys.stdout.write(json.dumps(plain(found)) + "\n")
    else:
        sys.stdout.write(diagnose.text(found) + "\n")
    return diagnose.exit_status(found)
