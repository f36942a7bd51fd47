"""What a bench found, as values; and all of them together as Markdown, JSON and a plot."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.beds import versions

Cell = str | float | int
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """A promise and what was measured of it; `least` turns the limit into a lower one."""

    promise: str
    measured: float
    limit: float
    unit: str
    least: bool = False

    @property
    def kept(self) -> bool:
        return self.measured >= self.limit if self.least else self.measured <= self.limit


@dataclass(frozen=True, slots=True)
class Section:
    """One bench: how it was done, what came out."""

    name: str
    how: str
    tables: tuple[Table, ...]
    budgets: tuple[Budget, ...] = ()


def alone(measure: Callable[[], Section]) -> None:
    """Run one bench as a program."""
    print(markdown([measure()]))


def percentile(times: Sequence[float], share: float) -> float:
    """Return the value that `share` of them are below or at."""
    ordered = sorted(times)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def write(sections: Sequence[Section], directory: Path, command: str) -> None:
    """Write report.md and report.json."""
    directory.mkdir(parents=True, exist_ok=True)
    facts = machine()
    value = {"command": command, "machine": facts, "sections": [asdict(one) for one in sections]}
    (directory / "report.json").write_text(json.dumps(value, indent=1))
    head = "\n".join(f"* {key}: {text}" for key, text in facts.items())
    (directory / "report.md").write_text(f"`{command}`\n\n{head}\n\n{markdown(sections)}\n")


def markdown(sections: Sequence[Section]) -> str:
    parts = []
    for one in sections:
        parts += [f"## {one.name}", one.how]
        parts += [
            f"**{table.title}**\n\n{_lines(table.columns, table.rows)}" for table in one.tables
        ]
        if one.budgets:
            rows = [
                (
                    budget.promise,
                    budget.measured,
                    f"{'≥' if budget.least else '≤'} {_text(budget.limit)} {budget.unit}".strip(),
                    "kept" if budget.kept else "MISSED",
                )
                for budget in one.budgets
            ]
            parts.append(_lines(("budget", "measured", "limit", ""), rows))
    return "\n\n".join(parts)


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    commit = ["git", "describe", "--always", "--dirty"]
    said = subprocess.run(commit, cwd=ROOT, text=True, capture_output=True, check=False)
    ours = {name: version(name) for name in ("grpcio", "lxml", "scapy", "pyroute2")}
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": said.stdout.strip(),
        "CPU": f"{os.cpu_count()} x {cpu[1] if cpu else platform.machine()}",
        "memory": f"{memory / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "load at the end": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "dsbridge's": ", ".join(f"{name} {text}" for name, text in ours.items()),
        "peers and clients": ", ".join(f"{name} {text}" for name, text in versions().items()),
    }


def _lines(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    rule = ["---", *["---:"] * (len(columns) - 1)]
    table = [columns, rule, *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in table)


def _text(cell: Cell) -> str:
    """Three digits are more than a noisy machine gives."""
    if isinstance(cell, str):
        return cell
    if math.isnan(cell):
        return "-"
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:.0f}"
    return f"{cell:.3g}"
