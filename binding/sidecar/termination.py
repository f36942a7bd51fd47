"""The container's termination message: the warnings of `status` that stand at its end.

The kubelet copies the file into the pod's status when the container ends (`kubectl describe pod`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

_log = logging.getLogger(__name__)
PATH = "/dev/termination-log"
"""Kubernetes' default; DSBRIDGE_TERMINATION_LOG names a container's own terminationMessagePath."""
_MOST = 4096  # octets that the kubelet takes


class TerminationMessage:
    """Writes the warnings that stand, whenever they are others."""

    def __init__(self) -> None:
        self._path = os.environ.get("DSBRIDGE_TERMINATION_LOG") or PATH
        self._written = ""

    def say(self, warnings: Iterable[str]) -> None:
        """Make these the message; without a file to write to there is none."""
        text = message(warnings)
        if text == self._written:
            return
        self._written = text
        try:
            # The kubelet made the file; nothing else may be written in its place.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW)
        except OSError as error:
            _log.debug("no termination message: %s", error)
            return
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def message(warnings: Iterable[str]) -> str:
    """Return a line for each warning, as many whole ones as the kubelet takes."""
    lines = ["".join(filter(str.isprintable, one)) for one in warnings]
    size, kept = 0, list[str]()
    for line in lines:
        more = f"and {len(lines) - len(kept)} more, see dsbridge status\n"
        size += len(line.encode(errors="replace")) + 1
        if size + len(more) > _MOST:
            return "".join(f"{one}\n" for one in kept) + more
        kept.append(line)
    return "".join(f"{one}\n" for one in kept)
