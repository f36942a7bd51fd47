"""docs/reference.md names each field and each metric, and none that is not there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from binding.ipc import status
from binding.ipc.messages import Instance, RouterStatus
from binding.operator import metrics
from guest.network import GuestNetwork
from tests.operator.test_diagnose import STATUS

PAGE = (Path(__file__).parents[2] / "docs/reference.md").read_text()
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
    assert rows(kind.__name__) == [field.name for field in fields(kind)]


def test_each_metric_is_documented():
    told = metrics.prometheus(STATUS)
    named = set(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE))
    assert named <= set(rows("Metrics"))
