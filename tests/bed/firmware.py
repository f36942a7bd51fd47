"""A virtual machine without a disk: its firmware, or a boot loader, is all that runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bed.netns import end
from tests.bed.pod import Pod


@dataclass(frozen=True, slots=True)
class Console:
    """Its serial line."""

    process: subprocess.Popen[bytes]
    file: Path

    @property
    def text(self) -> str:
        """All that it has printed."""
        return self.file.read_text(errors="replace")

    def type(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()


@contextmanager
def booted(made: Pod, *words: str, card: str = "virtio-net-pci") -> Iterator[Console]:
    """Boot on the pod's tap; `words` say to QEMU which machine and what runs on it."""
    console = made.workdir / "console"
    tap = "tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=off"
    with console.open("wb") as out:
        process = made.netns.popen(
            *("qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-no-user-config"),
            *("-display", "none", "-serial", "stdio", "-netdev", tap),
            *("-device", f"{card},netdev=n0,mac={made.layout.mac},romfile="),
            *words,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Console(process, console)
    except Exception as error:  # whatever it is: it is raised again
        error.add_note(f"its console:\n{console.read_text(errors='replace')[-3000:]}")
        raise
    finally:
        end(process)
        process.stdin.close()
