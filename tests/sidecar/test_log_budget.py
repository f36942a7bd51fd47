"""How many lines a guest's exchanges may fill."""

from binding.sidecar.log_budget import LogBudget

DAY = 86_400
LINE = 400
"""Bytes; measured at a bed: 250 to 350."""


def test_a_guest_that_asks_all_the_time_fills_less_than_a_megabyte_a_day():
    budget = LogBudget(0)
    kinds = [f"kind {number}" for number in range(30)]
    lines = sum(
        budget.take(kinds[number % 30], number / 10) is not None for number in range(DAY * 10)
    )
    assert lines * LINE <= 1_250_000
    assert lines > 1000


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
