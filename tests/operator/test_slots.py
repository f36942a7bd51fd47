"""Three commands run at once in a container; those above wait, small and first to be killed."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import pytest

from binding.operator import slots
from binding.process import memory, oom
from tests.bed.sidecar import ROOT
from tests.bed.wait import until

MOST_WHILE_IT_WAITS = 5 * 2**20
NO_SIDECAR = 3


@contextmanager
def taken(directory: Path) -> Iterator[list[IO[str]]]:
    """Hold every slot of a hooks directory."""
    (directory / "state").mkdir()
    with ExitStack() as stack:
        files = []
        for number in range(3):
            file = (directory / "state" / f"command-{number}.lock").open("w")
            fcntl.flock(stack.enter_context(file), fcntl.LOCK_EX)
            files.append(file)
        yield files


@pytest.mark.parametrize(
    "words",
    [("status", "--watch"), ("diagnose",), ("capture", "-t", "1"), ("gather",)],
    ids=lambda words: words[0],
)
def test_a_command_waits_for_its_turn_before_it_takes_memory(words, tmp_path):
    with taken(tmp_path) as files:
        command = subprocess.Popen(
            (sys.executable, "-m", "binding", *words, f"--hooks-dir={tmp_path}"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            score = Path(f"/proc/{command.pid}/oom_score_adj")
            until(lambda: score.read_text().strip() == str(oom.COMMAND), "it offers itself")
            until(lambda: _state(command.pid) == "S", "it waits")
            assert memory.anonymous(command.pid) < MOST_WHILE_IT_WAITS
            assert command.poll() is None
            files[1].close()
            _, said = command.communicate(timeout=60)
        finally:
            command.kill()
            command.wait()
    assert "no sidecar answers" in said or "no guest" in said


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_help_waits_for_nobody(tmp_path):
    with taken(tmp_path):
        command = (sys.executable, "-m", "binding", "status", "--hooks-dir", tmp_path, "--help")
        said = subprocess.run(command, cwd=ROOT, timeout=60, check=True, stdout=subprocess.PIPE)
    assert b"--watch" in said.stdout


def test_where_the_directory_is_not_there_nobody_waits(tmp_path):
    slots.wait(str(tmp_path / "none"))
