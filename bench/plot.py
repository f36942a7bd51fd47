"""The comparisons of a report as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.report import Section

_COLOURS = {"dsbridge": "#1f5fbf", "dnsmasq": "#d98b2b", "Kea + radvd": "#7a9a3c", "OVN": "#8a8a8a"}


def plot(sections: Sequence[Section], file: Path) -> None:
    """Draw one panel for each section that compares."""
    by_name = {section.name: section for section in sections if section.tables}
    panels = [(by_name[name], draw) for name, draw in _PANELS.items() if name in by_name]
    if not panels:
        return
    figure, axes = plt.subplots(1, len(panels), figsize=(6.4 * len(panels), 4.6), squeeze=False)
    for (section, draw), axis in zip(panels, axes[0], strict=True):
        draw(section, axis)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _answers(section: Section, axis: Axes) -> None:
    """Bars to p50, whiskers to p99, from the first table: server on another CPU."""
    table = section.tables[0]
    _grouped(axis, [(str(row[0]), float(row[1]), float(row[2])) for row in table.rows])
    axis.set_yscale("log")
    axis.set_ylabel("µs, p50; whisker p99")
    axis.set_title(f"Answers at the tap. {table.title}", fontsize=10)


def _times(section: Section, axis: Axes) -> None:
    rows = [(str(row[0]), float(row[-2]), float(row[-1])) for row in section.tables[0].rows]
    _grouped(axis, rows)
    axis.set_ylabel("s, median; whisker slowest")
    axis.set_title("Link up to addresses, default routes and DNS", fontsize=10)


def _density(section: Section, axis: Axes) -> None:
    rows = section.tables[0].rows
    counts = [str(row[0]) for row in rows]
    for column, label in ((3, "when its guest has its leases"), (4, "at rest")):
        axis.plot(counts, [float(row[column]) for row in rows], marker="o", label=label)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("pods on the node")
    axis.set_ylabel("MiB anonymous each")
    axis.legend(frameon=False)
    axis.set_title("Memory of a sidecar, all processes", fontsize=10)


def _grouped(axis: Axes, rows: Sequence[tuple[str, float, float]]) -> None:
    """Draw rows named `GROUP, PEER`: a value and the end of its whisker; GROUP may have commas."""
    groups: dict[str, dict[str, tuple[float, float]]] = {}
    for name, value, worst in rows:
        group, _, peer = name.rpartition(", ")
        groups.setdefault(group, {})[peer] = (value, worst)
    peers = list(next(iter(groups.values())))
    width = 0.8 / len(peers)
    for place, peer in enumerate(peers):
        at = [index + (place - (len(peers) - 1) / 2) * width for index in range(len(groups))]
        values = [one[peer][0] for one in groups.values()]
        whiskers = [[0.0] * len(values), [one[peer][1] - one[peer][0] for one in groups.values()]]
        axis.bar(at, values, width, yerr=whiskers, label=peer, color=_COLOURS[peer], ecolor="#555")
    axis.set_xticks(range(len(groups)), [group.replace(", ", "\n") for group in groups], fontsize=8)
    axis.legend(frameon=False, fontsize=8)


_PANELS = {"Answers": _answers, "Time to address": _times, "Density": _density}
