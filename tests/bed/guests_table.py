"""The table of docs/guests.md: a row for each guest, written by the run that saw it."""

from __future__ import annotations

from collections.abc import Mapping

COLUMNS = ("First boot", "Link down and up", "Reboot", "Next pod", "Two renewals", "Lacks")
_HEAD = f"| Guest | {' | '.join(COLUMNS)} |"
_RULE = f"|{' --- |' * (len(COLUMNS) + 1)}"


def merged(page: str, seen: Mapping[str, Mapping[str, str]]) -> str:
    """Return the page with the cells that a run has seen, by guest and column; others stay."""
    before, _, rest = page.partition(f"{_HEAD}\n{_RULE}\n")
    lines = rest.splitlines(keepends=True)
    old = [line for line in lines if line.startswith("|")]
    rows = {}
    for line in old:
        guest, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
        rows[guest] = dict(zip(COLUMNS, cells, strict=True))
    for guest, cells in seen.items():
        rows.setdefault(f"`{guest}`", {}).update(cells)
    table = "".join(
        f"| {guest} | {' | '.join(rows[guest].get(column, '') for column in COLUMNS)} |\n"
        for guest in sorted(rows)
    )
    return f"{before}{_HEAD}\n{_RULE}\n{table}{''.join(lines[len(old) :])}"
