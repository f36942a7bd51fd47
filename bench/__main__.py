"""`make bench`: every bench, one after the other, into one report. Needs root.

python -m bench [NAME...] [--out DIR] [--quick]
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import answers, datapath, density, flood, start, time_to_address
from bench.plot import plot
from bench.probe import CACHE
from bench.report import Section, markdown, write

FULL: dict[str, Callable[[], Section]] = {
    "answers": answers.measure,
    "start": start.measure,
    "flood": flood.measure,
    "time_to_address": time_to_address.measure,
    "datapath": datapath.measure,
    "density": density.measure,
}
QUICK: dict[str, Callable[[], Section]] = {
    "answers": partial(answers.measure, 200, 5),
    "start": partial(start.measure, 1),
    "flood": partial(flood.measure, 3),
    "time_to_address": partial(time_to_address.measure, 1, 1),
    "datapath": partial(datapath.measure, 3),
    "density": partial(density.measure, (1, 3)),
}


def main() -> int:
    """Return 0 when all were run, whatever they found."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=(*FULL, []), metavar="NAME", help=", ".join(FULL)
    )
    parser.add_argument("--out", type=Path, default=CACHE, metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="to try the benches, not to measure")
    arguments = parser.parse_args()
    benches = QUICK if arguments.quick else FULL
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    sections: list[Section] = []
    for name in arguments.names or FULL:
        begun = time.monotonic()
        print(f"{name} ... ", end="", file=sys.stderr, flush=True)
        sections.append(benches[name]())
        print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
        write(sections, arguments.out, command)  # what is done is kept, whatever comes next
    plot(sections, arguments.out / "report.png")
    print(markdown(sections))
    print(f"written to {arguments.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
