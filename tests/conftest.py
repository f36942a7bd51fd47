"""What holds for every test, and the table that the tests of clients on each CNI print."""

import os
from pathlib import Path

import hypothesis
import pytest

from tests.bed import guests_table

CLIENT_ON_CNI = "client on CNI"
"""A test's property with layout, client and what the guest ended up with."""
MIGRATION = "migration"
"""A test's property with the gateway's MAC, and what a move costs with sidecars and without."""
GUESTS = "guest"
"""A test's property with a Debian guest's name and its cells in docs/guests.md, by column."""
REFRESH = "link refresh"
"""A test's property with a client, and when it had what after its link was up again."""
_ROWS = {
    MIGRATION: ("Gateway", "With sidecars", "Without"),
    REFRESH: ("Client", "New addresses", "Old ones gone", "Former router gone"),
}


# hypothesis takes no examples for wrong because they are slow: a busy machine needs long for one
# example, and for making it up.
hypothesis.settings.register_profile(
    "dsbridge", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("dsbridge")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make test-vm` write the table of its guests into their page."""
    parser.addoption("--write-table", metavar="PAGE", help="replace the rows of a page's table")


def _write_below_mark(name: str, table: list[str]) -> None:
    """Put a table into the page that $TABLES names, in the place of the one that stands there."""
    if "TABLES" not in os.environ:
        return
    page = Path(os.environ["TABLES"])
    before, mark, behind = page.read_text().partition(f"<!-- table: {name} -->\n")
    lines = behind.split("\n")
    while lines and lines[0].startswith("|"):
        del lines[0]
    page.write_text(before + mark + "\n".join([*table, *lines]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print layouts and clients as the table of docs/cni.md, migrations as those of their page."""
    for name, head in _ROWS.items():
        reports = terminalreporter.getreports("passed")
        rows = [
            dict(one.user_properties)[name] for one in reports if name in dict(one.user_properties)
        ]
        if rows:
            table = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *sorted(rows))]
            for line in table:
                terminalreporter.write_line(line)
            _write_below_mark(name, table)
    if page := terminalreporter.config.getoption("write_table"):
        _write(Path(page), terminalreporter.getreports("passed"))
    cells: dict[tuple[str, str], str] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            if CLIENT_ON_CNI in dict(report.user_properties):
                layout, client, has = dict(report.user_properties)[CLIENT_ON_CNI]
                cells[layout, client] = has if outcome == "passed" else outcome
    if not cells:
        return
    clients = sorted({client for _, client in cells})
    rows = [["Layout", *clients], ["---"] * (len(clients) + 1)]
    rows += [
        [f"`{layout}`", *(cells.get((layout, client), "") for client in clients)]
        for layout in sorted({layout for layout, _ in cells})
    ]
    for row in rows:
        terminalreporter.write_line(f"| {' | '.join(row)} |")


def _write(page: Path, reports: list[pytest.TestReport]) -> None:
    seen: dict[str, dict[str, str]] = {}
    for report in reports:
        for name, value in report.user_properties:
            if name == GUESTS:
                guest, cells = value
                seen.setdefault(guest, {}).update(cells)
    page.write_text(guests_table.merged(page.read_text(), seen))
