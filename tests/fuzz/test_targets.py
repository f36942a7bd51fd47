"""Every target runs: its seeds, every input that once broke it, and seeded mutations of both."""

from __future__ import annotations

import importlib
import random
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CRASHES = Path(__file__).parent / "crashes"
MUTATIONS = 400
"""Of each target: a second or two. `make fuzz` makes millions."""


@pytest.mark.parametrize("name", TARGETS)
def test_no_seed_and_no_mutation_of_it_breaks_a_promise(name: str) -> None:
    target = importlib.import_module(f"tests.fuzz.{name}")
    rng = random.Random(name)
    inputs = list(target.SEEDS)
    for data in target.SEEDS:
        target.run(data)
    for number in range(MUTATIONS):
        data = target.mutate(rng.choice(inputs), rng)
        try:
            target.run(data)
        except Exception as error:  # whatever it is: it is raised again
            error.add_note(f"mutation {number}: {data.hex()}")
            raise
        if len(data) < 10_000:
            inputs[rng.randrange(len(inputs))] = data


def saved() -> list[Path]:
    return sorted(CRASHES.glob("*/*"))


@pytest.mark.parametrize("path", saved(), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_broke_a_promise_does_not_any_more(path: Path) -> None:
    importlib.import_module(f"tests.fuzz.{path.parent.name}").run(path.read_bytes())
