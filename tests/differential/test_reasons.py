"""The table of docs/comparison.md is about the same classes as the program that compares."""

from __future__ import annotations

import re
from pathlib import Path

from tests.differential import request4, request6
from tests.differential.reasons import REASONS

DOC = Path(__file__).parents[2] / "docs/comparison.md"


def test_each_class_of_difference_is_in_the_document() -> None:
    section = DOC.read_text().partition("## Where dsbridge answers otherwise")[2]
    rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    assert rows[1:] == [one.what for one in REASONS]


def test_each_class_is_of_requests_that_are_made() -> None:
    kinds = {*request4.KINDS, *request4.LAST, *request6.KINDS, *request6.LAST, "RS"}
    twists = {*request4.TWISTS, *request6.TWISTS, *request6.SOLICITATIONS}
    for one in REASONS:
        assert one.twists <= twists, one.twists - twists
        assert one.kinds <= kinds
