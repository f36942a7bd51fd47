"""Wire up to each step in turn, fail there, and print the steps after which the pod differs.

Run inside the pod's namespace, whose name is the argument, with a tuple of Wiring on stdin.
"""

from __future__ import annotations

import json
import sys

from binding.ipc import codec
from binding.ipc.wiring import Wiring
from binding.plumb import wire
from binding.plumb.netlink import connect, dump
from binding.plumb.steps import Step, StepError, carry_out
from tests.bed.netns import Netns
from tests.bed.pod_state import as_before, state


def failing_step() -> None:
    raise RuntimeError("failed on purpose")


def _nothing() -> None:
    pass


def main() -> None:
    space = Netns(sys.argv[1])
    wirings = codec.decode(tuple[Wiring, ...], sys.stdin.read())
    before = state(space)
    tried, differing = [], {}
    with connect() as ipr:
        stop = 0
        while True:
            links = {link.get("ifname"): link for link in dump(ipr.link)}
            plan = [step for wiring in wirings for step in wire.steps(ipr, links, wiring)]
            if stop > len(plan):
                break
            try:
                made = [*plan[:stop], Step("the failing step", failing_step)]
                carry_out(made, before_each=_nothing, before_undo=_nothing)
            except StepError as error:
                remains = error.remains
            tried.append(plan[stop - 1].name if stop else "nothing")
            try:
                as_before(space, before)
            except AssertionError:
                after = state(space)
                differing[tried[-1]] = [
                    [before[key], after[key]] for key in before if before[key] != after[key]
                ]
            if remains:
                differing.setdefault(tried[-1], []).append(list(remains))
            stop += 1
    print(json.dumps({"tried": tried, "differing": differing}))


if __name__ == "__main__":
    main()
