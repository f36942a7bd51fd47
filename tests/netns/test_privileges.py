"""Who holds which capability, where nobody but the sidecar itself takes any away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bed.guests import started

pytestmark = pytest.mark.netns


def privileges(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines)
    names = ("CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs")
    return {name: int(fields[name], 16) for name in names}


def test_who_reads_foreign_bytes_has_given_everything_away() -> None:
    with started("flat", "managed") as vm:
        pids = {one["name"]: one["pid"] for one in vm.sidecar.status()["processes"]}
        for name in ("serve", "hooks"):
            assert privileges(pids[name]) == {
                **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), 0),
                "NoNewPrivs": 1,
            }
        assert privileges(pids["sidecar"])["CapEff"] == 0


def test_the_kernel_that_is_out_of_memory_chooses_any_process_but_the_sidecar() -> None:
    with started("flat", "managed") as vm:
        pids = {one["name"]: one["pid"] for one in vm.sidecar.status()["processes"]}
        scores = {
            name: int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for name, pid in pids.items()
        }
        assert scores["serve"] == scores["hooks"] == 1000
        assert scores["sidecar"] < 1000
