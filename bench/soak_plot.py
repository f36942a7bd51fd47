"""`python -m bench.soak_plot FIGURES SVG`: what `make soak` measured, over time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.report import percentile

_BIN = 60.0
"""Seconds over which the requests for an address are summed up."""


def plot(soak: dict[str, Any], file: Path) -> None:
    """Draw memory, descriptors and the time to an OFFER, one below the other."""
    found = soak["figures"]
    minutes = [one["at"] / 60 for one in found]
    mpl.rcParams["svg.hashsalt"] = "dsbridge"
    mpl.rcParams["svg.fonttype"] = "none"
    figure, (memory, files, offers) = plt.subplots(3, 1, figsize=(8, 8), sharex=True)
    _line(memory, minutes, [one["memory"] for one in found], "all programs of a pod, mean")
    _line(memory, minutes, [one["largest"] for one in found], "largest sidecar")
    memory.set_ylabel("MiB anonymous")
    _line(files, minutes, [one["descriptors"] for one in found], "mean")
    _line(files, minutes, [one["most_descriptors"] for one in found], "most")
    files.set_ylabel("descriptors of a sidecar")
    bins = list(_binned(found))
    for share, label in ((0.5, "median"), (0.95, "p95"), (1.0, "slowest")):
        times = [percentile(each, share) for _, each in bins]
        _line(offers, [at for at, _ in bins], times, label)
    offers.set_ylabel("s, DISCOVER to OFFER")
    offers.set_yscale("log")
    offers.set_xlabel(f"minutes; {soak['pods']} pods, {sum(soak['done'].values())} misfortunes")
    for axis in (memory, files, offers):
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
        if axis is not offers:
            axis.set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def _line(axis: Axes, at: list[float], values: list[float], label: str) -> None:
    axis.plot(at, values, label=label, linewidth=1.2)


def _binned(found: list[dict[str, Any]]) -> Iterable[tuple[float, list[float]]]:
    """Yield the middle of each minute, and the times of its requests."""
    bins: dict[int, list[float]] = {}
    for one in found:
        bins.setdefault(int(one["at"] // _BIN), []).extend(one["offers"])
    yield from (((number + 0.5) * _BIN / 60, each) for number, each in bins.items() if each)


def summary(soak: dict[str, Any]) -> str:
    """Return the figures in a few words."""
    found = soak["figures"]
    times = [each for one in found for each in one["offers"]]
    first, last = found[0], found[-1]
    return (
        f"{soak['pods']} pods, {last['at'] / 60:.0f} min, {soak['done']}; lost {soak['lost']}\n"
        f"MiB a pod {first['memory']} → {last['memory']}, "
        f"largest sidecar {max(one['largest'] for one in found)}\n"
        f"descriptors {first['descriptors']} → {last['descriptors']}, "
        f"most {max(one['most_descriptors'] for one in found)}\n"
        f"OFFER: {len(times)} requests, median {percentile(times, 0.5):.3f} s, "
        f"p95 {percentile(times, 0.95):.3f} s, slowest {max(times):.3f} s"
    )


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    plot(given, Path(sys.argv[2]))
    sys.stdout.write(f"{summary(given)}\n")
