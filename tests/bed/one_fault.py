"""Has one system call of one run of a program fail, wait or bring a signal (strace).

The sidecar starts each program through a script, which takes a fault that waits for that program:
the next run is as ever. So a test can ask what the sidecar makes of a fault that passes, at each
call in turn.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """#!/bin/sh
# The arguments are those of Python: options, -m binding.PROGRAM [ACTION].
program= next=
for word; do
  case $next$word in
    m*) program=${word#binding.} next=a; [ "$program" = plumb ] || break; continue ;;
    a*) program=$program-$word; break ;;
    -m) next=m ;;
  esac
done
if mv "$0.$program" "$0.$program.taken" 2>/dev/null; then
  # With -D the program keeps the pid by which the sidecar knows it.
  exec strace -D -qq -o "$0.$program.log" $(cat "$0.$program.taken") {python} "$@"
fi
exec {python} "$@"
"""
_SITECUSTOMIZE = "import sys\nsys.executable = {script!r}\n"


@dataclass(frozen=True, slots=True)
class OneFault:
    """Where faults wait for the programs of one sidecar."""

    room: Path

    @property
    def environ(self) -> dict[str, str]:
        """What the sidecar's environment needs."""
        return {"PYTHONPATH": str(self.room)}

    def wait_for(self, program: str, call: str, what: str, number: int) -> None:
        """Let the call of that number fail in the next run: `error=ENOBUFS`, `signal=SIGTERM`.

        The program is `hooks`, `serve` or `plumb-ACTION`.
        """
        self._file(program, "log").unlink(missing_ok=True)
        self._file(program, "taken").unlink(missing_ok=True)
        words = f"-e trace={call} -e inject={call}:{what}:when={number}"
        draft = self._file(program, "draft")
        draft.write_text(words)
        draft.rename(self.room / f"python.{program}")

    def was_taken(self, program: str) -> bool:
        """Say whether the program has been started since."""
        return self._file(program, "taken").exists()

    def happened(self, program: str) -> bool:
        """Say whether the run came as far as that call."""
        log = self._file(program, "log")
        return log.exists() and "INJECTED" in log.read_text()

    def _file(self, program: str, kind: str) -> Path:
        return self.room / f"python.{program}.{kind}"


def one_fault(room: Path) -> OneFault:
    """Return it, with its script in a directory that is to be made."""
    room.mkdir()
    script = room / "python"
    script.write_text(_SCRIPT.replace("{python}", shlex.quote(sys.executable)))
    script.chmod(0o755)
    (room / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(script=str(script)))
    return OneFault(room)


def until_no_call(fault: OneFault, program: str, step: int = 1) -> Iterator[int]:
    """Yield 1, 1 + step… as long as the program's run comes as far as a call of that number."""
    number = 1
    while True:
        yield number
        assert fault.was_taken(program), f"{program} was not started"
        if not fault.happened(program):
            return
        number += step


@contextmanager
def of_running(pid: int, call: str, what: str, number: int, log: Path) -> Iterator[None]:
    """Let a call of a program that runs already fail, the one of that number from here on."""
    words = ("-e", f"trace={call}", "-e", f"inject={call}:{what}:when={number}")
    command = ["strace", "-o", str(log), *words, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert "attached" in process.stderr.readline()
            yield
        finally:
            process.terminate()
