"""What an operator runs inside the sidecar, by `kubectl exec`: `status` and `diagnose`.

The pod's IP address belongs to the guest, so nothing of this can be had over the network.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from binding.operator import arguments, report
from binding.operator.diagnose import findings
from binding.process import capabilities, oom

Status = dict[str, Any]
_EVERY = 2.0


def main(words: Sequence[str]) -> int:
    """Run one command; return its exit status."""
    oom.choose_me()
    given = arguments.parse(words)
    if given.command == "capture":
        from binding.operator.capture import capture  # noqa: PLC0415  # the others do without

        return capture(given.tap)
    if given.command == "diagnose":
        return diagnose(given.directory)
    return status(given.directory, given.form, watch=given.watch)


def status(hooks_dir: Path, form: str, *, watch: bool) -> int:
    """Print the state of the sidecar that serves `hooks_dir`, once or every 2 s.

    `form` is text, json or prometheus. Returns the exit status.
    """
    forms: dict[str, Callable[[Status], str]] = {
        "text": report.text,
        "json": json.dumps,
        "prometheus": report.prometheus,
    }
    with suppress(KeyboardInterrupt, BrokenPipeError):
        while True:
            answer = ask(hooks_dir)
            if answer is None:
                return 1
            if watch and sys.stdout.isatty():
                sys.stdout.write("\x1b[H\x1b[2J")
            sys.stdout.write(forms[form](answer) + "\n")
            sys.stdout.flush()
            if not watch:
                break
            time.sleep(_EVERY)
    return 0


def diagnose(hooks_dir: Path) -> int:
    """Print what is well and what is not, with its remedy; 1 when anything is not."""
    answer = ask(hooks_dir)
    if answer is None:
        return 1
    found = findings(answer, capabilities.permitted())
    for finding in found:
        sys.stdout.write(f"{'ok     ' if finding.well else 'PROBLEM'} {finding.text}\n")
        if finding.remedy:
            sys.stdout.write(f"        -> {finding.remedy}\n")
    return int(not all(finding.well for finding in found))


def ask(hooks_dir: Path) -> Status | None:
    """Return the status object; None, with the reason on stderr, when no sidecar answers."""
    try:
        return _ask(hooks_dir / "state")
    except OSError as error:
        sys.stderr.write(f"no sidecar answers in {hooks_dir}: {error.strerror or error}\n")
        return None


def _ask(state: Path) -> Status:
    directory = os.open(state, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(f"/proc/self/fd/{directory}/status.sock")
            chunks = []
            while chunk := client.recv(65536):
                chunks.append(chunk)
    finally:
        os.close(directory)
    answer: Status = json.loads(b"".join(chunks))
    return answer
