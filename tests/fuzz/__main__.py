"""`python -m tests.fuzz [--seconds N] [TARGET...]`: fuzz each target so long; print what came.

Corpora stay in .cache/fuzz/TARGET, so that the next run goes on. An input that breaks a promise is
saved there as crash-* and printed; put it into tests/fuzz/crashes/TARGET, and mend its cause.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.targets import TARGETS

_CACHE = Path(__file__).parents[2] / ".cache/fuzz"
_STAT = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)
_SEEN = re.compile(r"cov: (\d+) ft: (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    given = parser.parse_args()
    crashes = 0
    for name in given.targets or TARGETS:
        crashes += _fuzz(name, given.seconds)
    return 1 if crashes else 0


def _fuzz(name: str, seconds: int) -> int:
    """Run one target; return how many inputs broke it. Its totals add up over runs."""
    room = _CACHE / name
    corpus = room / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    known = set(room.glob("crash-*")) | set(room.glob("timeout-*"))
    command = [
        *(sys.executable, "-m", "tests.fuzz.one", name, str(corpus)),
        *(f"-max_total_time={seconds}", f"-artifact_prefix={room}/", "-timeout=10"),
        *("-rss_limit_mb=1024", f"-seed={time.time_ns() % 2**31}"),
    ]
    environ = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    (room / "log").write_text(done.stdout + done.stderr)
    units, seen = _STAT.search(done.stderr), _SEEN.findall(done.stderr)
    found = (set(room.glob("crash-*")) | set(room.glob("timeout-*"))) - known
    totals = room / "total.json"
    total = json.loads(totals.read_text()) if totals.exists() else {"executions": 0, "edges": 0}
    total["executions"] += int(units[1]) if units else 0
    total["edges"] = max([total["edges"], *(int(one) for one, _ in seen)])
    total["inputs"] = sum(1 for _ in corpus.iterdir())
    totals.write_text(json.dumps(total))
    words = " ".join(f"{key} {value:,}" for key, value in total.items())
    print(f"{name}: {words}, {len(found)} new crashes", flush=True)
    for path in found:
        print(f"  {path}", flush=True)
    if done.returncode and not found:
        print(done.stderr[-2000:], flush=True)
        return 1
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
