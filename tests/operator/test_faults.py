"""The table of fault kinds in tests/README.md: each is staged by a test that names its finding."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from binding.operator.remedies import REMEDIES

ROOT = Path(__file__).parents[2]


class Fault(NamedTuple):
    """A row of the table."""

    kind: str
    file: str
    function: str
    anchor: str
    log: str


TABLE = (ROOT / "tests/README.md").read_text().partition("## Faults that are staged")[2]
ROWS = re.compile(r"^\| (.+?) \| `(\w+)::(\w+)` \| (\S+) \| (.+?) \|$", re.MULTILINE)
COMMON, RARER = (
    [Fault(*row) for row in ROWS.findall(part)] for part in TABLE.split("| rarer fault |")
)


def test_there_are_at_least_forty_common_faults_and_twenty_five_rarer_ones():
    assert len({one.kind for one in COMMON}) >= 40
    assert len({one.kind for one in RARER}) >= 25


@pytest.mark.parametrize("fault", COMMON + RARER, ids=lambda one: one.kind)
def test_each_is_staged_by_a_test_that_names_its_finding(fault):
    text = (ROOT / f"tests/netns/{fault.file}.py").read_text()
    assert f"def {fault.function}(" in text
    if fault.anchor != "-":
        assert fault.anchor in REMEDIES
        assert fault.anchor in text


def test_the_log_alone_tells_the_cause_of_nine_in_ten():
    harms = [one for one in COMMON if one.anchor != "-"]
    assert sum(one.log != "-" for one in harms) >= 0.9 * len(harms)
