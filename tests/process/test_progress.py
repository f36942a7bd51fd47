"""Who is stuck at its start and who is only slow, by real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from binding.process.progress import Progress
from tests.bed.wait import until

ASLEEP = "import time; time.sleep(600)"
BUSY = "while True: pass"
SLOW = """
import time
while True:
    time.sleep(0.2)
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
"""


@pytest.fixture
def started():
    processes = []

    def start(code):
        processes.append(subprocess.Popen([sys.executable, "-c", code]))
        return processes[-1]

    yield start
    for one in processes:
        one.kill()
        one.wait()


def state(process):
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def looks(process, count, moment=0.0):
    """Return what each look says; a look's time is not measured, so it need not be kept."""
    progress = Progress(process.pid)
    said = []
    for _ in range(count):
        said.append(progress.look())
        if moment:
            signal.sigtimedwait([], moment)
    return said


def test_a_stopped_process_is_stuck_after_three_looks(started):
    process = started(BUSY)
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: state(process) == "T", "it stops")
    assert looks(process, 3) == ["", "", "it was stopped"]


def test_a_process_that_goes_on_was_not_stuck(started):
    process = started(BUSY)
    progress = Progress(process.pid)
    for _ in range(5):
        os.kill(process.pid, signal.SIGSTOP)
        until(lambda: state(process) == "T", "it stops")
        assert [progress.look(), progress.look()] == ["", ""]
        os.kill(process.pid, signal.SIGCONT)
        until(lambda: state(process) == "R", "it goes on")
        assert not progress.look()


def test_a_sleeper_may_sleep_for_eight_seconds(started):
    process = started(ASLEEP)
    until(lambda: state(process) == "S" and not any(looks(process, 15)), "it sleeps")
    assert looks(process, 17)[15:] == ["", "it did nothing for 8 s"]
    patient = Progress(process.pid, patience=8.0)
    assert not any(patient.look() for _ in range(128))
    assert patient.look() == "it did nothing for 64 s"


@pytest.mark.parametrize("code", [BUSY, SLOW])
def test_slow_is_not_stuck(started, code):
    process = started(code)
    assert not any(looks(process, 20, 0.25 if code == SLOW else 0.0))


def test_a_process_that_has_ended_is_not_stuck(started):
    process = started("pass")
    process.wait()
    assert not any(looks(process, 100))
