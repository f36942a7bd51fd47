"""Rows of docs/guests.md are replaced by those of the run, and no other line."""

from tests.bed.guests_table import COLUMNS, merged

HEAD = f"| Guest | {' | '.join(COLUMNS)} |\n|{' --- |' * 7}\n"


def test_cells_of_a_run_are_put_beside_those_of_others():
    page = f"# Guests\n\n{HEAD}| `netplan` | 1 s |  | 9 s | 8 s | yes | search |\n\nMore.\n"
    seen = {"netplan": {"First boot": "2 s"}, "busybox": {"Lacks": "nothing"}}
    assert merged(page, seen) == (
        f"# Guests\n\n{HEAD}| `busybox` |  |  |  |  |  | nothing |\n"
        "| `netplan` | 2 s |  | 9 s | 8 s | yes | search |\n\nMore.\n"
    )
