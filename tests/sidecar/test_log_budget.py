"""How much of the log a VM's guests may fill."""

import io
import json
import logging
import sys

import pytest

from binding.ipc.messages import Event, GuestReport, Report
from binding.process import logs
from binding.sidecar import status
from binding.sidecar.log_budget import LogBudget
from binding.sidecar.status import StatusPages
from tests.operator.judged import TOLD

DAY = 86_400
MEGABYTE = 1_000_000


@pytest.mark.parametrize("line", [200, 350, 600, 1200])
@pytest.mark.parametrize("warns", [False, True])
def test_a_guest_that_asks_all_the_time_fills_less_than_a_megabyte_a_day(line, warns):
    budget, filled = LogBudget(0), 0
    for number in range(DAY):
        is_warning = warns and number % 2 == 0
        if budget.take(f"kind {number % 30}", number, is_warning=is_warning) is not None:
            budget.spend(line, is_warning=is_warning)
            filled += line
    assert MEGABYTE / 3 < filled <= MEGABYTE


def test_the_first_lines_of_a_kind_are_written_whatever_was_before():
    budget = LogBudget(0)
    for number in range(1000):
        budget.take("DISCOVER OFFER", number)
    assert budget.take("DISCOVER from another MAC", 1000) == 0


def test_the_next_line_tells_how_many_were_left_out():
    budget = LogBudget(0)
    written = [budget.take("RS RA", 0) for _ in range(10)]
    assert written == [0, 0, 0, 0] + [None] * 6
    assert budget.take("RS RA", 301) == 6


def test_a_guest_that_exhausts_its_octets_hides_no_warning():
    budget = LogBudget(0)
    budget.spend(10**6)
    assert budget.take("DISCOVER OFFER", 1) is None
    assert budget.take("link tap0 is down", 1, is_warning=True) == 0


@pytest.fixture
def log(monkeypatch):
    """What the program writes to stderr."""
    root, written = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("DSBRIDGE_LOG", "info")
    logs.to_stderr()
    yield written
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    logging.captureWarnings(capture=False)


def test_what_a_hostile_guest_makes_of_every_kind_of_line_fills_no_megabyte_a_day(log, monkeypatch):
    """The real lines, by a clock of our own: exchanges, warnings and findings all day."""
    clock = [0.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: clock[0])
    pages = StatusPages()
    pages.open((TOLD,), ())
    for second in range(0, DAY, 5):
        clock[0] = second
        client = {"client": "c" * 64, "vendor": "v" * 64, "transaction": "01020304"}
        events = (
            Event(f"R{second % 40}", "OFFER", "n" * 100, False, second, client),  # noqa: FBT003  # a tuple
            Event("", "", f"rogue {second}" + "w" * 200, True, second),  # noqa: FBT003  # as above
        )
        findings = {"MAC": f"from another MAC, {second}" if second % 10 else ""}
        report = GuestReport(network="default", findings=findings, events=events)
        pages.take(Report(guests=(report,)))
    assert MEGABYTE / 3 < len(log.getvalue()) <= MEGABYTE
    assert json.loads(log.getvalue().splitlines()[-1])["tap"] == "tap0"
