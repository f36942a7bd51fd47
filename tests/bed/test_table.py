"""The demo's table: aligned, and honest about what the guest has not got."""

from __future__ import annotations

from tests.bed.table import Row, missing, render

ROWS = (
    Row("MTU", ("1450",), ("1450",), good=True),
    Row("DNS", ("10.96.0.10", "fd00:10:96::a"), ("10.96.0.10",), good=False),
    Row("IPv6", ("fd00::5/64",), (), good=False),
)


def test_columns_are_aligned_over_cells_of_several_lines() -> None:
    lines = render(("", "pod", "guest"), ROWS).splitlines()
    assert [line.index("1450") for line in lines if "MTU" in line] == [lines[0].index("pod")]
    assert lines[4].strip() == "fd00:10:96::a"
    assert lines[4].index("fd00") == lines[3].index("10.96") == lines[0].index("pod")
    assert [line.endswith("MISSING") for line in lines] == [False, False, False, True, False, True]


def test_every_missing_thing_is_named_with_what_it_should_be() -> None:
    assert missing(ROWS) == [
        "DNS: guest has 10.96.0.10, pod has 10.96.0.10, fd00:10:96::a",
        "IPv6: guest has nothing, pod has fd00::5/64",
    ]
