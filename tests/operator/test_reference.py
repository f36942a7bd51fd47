"""docs/reference.md names each field and each metric, and none that is not there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from binding.ipc import status
from binding.ipc.about import Instance, RouterStatus
from binding.operator import metrics
from guest.network import GuestNetwork
from tests.operator.test_diagnose import STATUS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference.md").read_text()
MANUAL = (ROOT / "docs/kubectl-dsbridge.1").read_text().replace("\\-", "-")
KINDS = (
    *(status.Status, status.GuestStatus, status.ProcessStatus, status.Asked, status.LastExchange),
    *(
        status.Warned,
        status.Said,
        status.Modes,
        status.Finding,
        RouterStatus,
        Instance,
        GuestNetwork,
    ),
)


def rows(heading):
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_field_is_documented_in_order(kind):
    assert rows(kind.__name__) == list(kind.__annotations__)


def test_each_metric_is_documented():
    told = metrics.prometheus(STATUS)
    named = set(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE))
    assert named <= set(rows("Metrics"))


def options(text):
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", text)) - {"-h", "--help"}


def test_the_manual_page_has_each_command_and_option_and_no_other():
    said = ""
    for command in ((), ("status",), ("diagnose",), ("capture",), ("reload",), ("gather",)):
        words = [sys.executable, "-m", "binding", *command, "--help"]
        said += subprocess.check_output(words, cwd=ROOT, text=True)
    (commands,) = set(re.findall(r"\{([a-z,]+)\} \.\.\.", said))
    assert all(f".B {command}\n" in MANUAL for command in commands.split(","))
    plugin = (ROOT / "deploy/kubectl-dsbridge").read_text()
    of_plugin = {
        one
        for arm in re.findall(
            r"^    (-[^)]*)\)", plugin.partition("command=${1:-}")[2], re.MULTILINE
        )
        for one in options(arm.replace("=*", ""))
    }
    told = options(re.sub(r"\\f[BRI]", "", MANUAL))
    assert told == options(said) | of_plugin
