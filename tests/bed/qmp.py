"""QEMU's machine protocol, as far as a live migration needs it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRWPair
from pathlib import Path
from typing import Any, cast

from tests.bed.wait import crowd, until


@dataclass(frozen=True, slots=True)
class Qmp:
    """A connection to one QEMU."""

    file: BufferedRWPair

    def execute(self, command: str, **arguments: Any) -> Any:
        """Return what a command returns; RuntimeError quotes QEMU."""
        asked = {"execute": command, "arguments": arguments}
        self.file.write(json.dumps(asked).encode() + b"\n")
        self.file.flush()
        while line := self.file.readline():
            said = json.loads(line)
            if "error" in said:
                raise RuntimeError(f"{command}: {said['error']['desc']}")
            if "return" in said:
                return said["return"]
        raise RuntimeError(f"{command}: QEMU has closed the connection")

    @property
    def is_running(self) -> bool:
        """Whether the guest runs here."""
        return bool(self.execute("query-status")["running"])

    @property
    def migration(self) -> str:
        """The state of the migration from here, or to here."""
        return str(self.execute("query-migrate").get("status", "none"))


@contextmanager
def qmp(path: Path) -> Iterator[Qmp]:
    """Connect to the socket that QEMU makes as it starts."""
    until(path.exists, f"QEMU's socket {path}")
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(30 * crowd())
        one.connect(str(path))
        with one.makefile("rwb") as file:
            found = Qmp(cast("BufferedRWPair", file))
            file.readline()  # the greeting
            found.execute("qmp_capabilities")
            yield found
