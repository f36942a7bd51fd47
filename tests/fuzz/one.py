"""Runs one target under atheris: `python -m tests.fuzz.one TARGET CORPUS [libFuzzer's options]`."""

from __future__ import annotations

import importlib
import logging
import random
import sys
from contextlib import suppress
from pathlib import Path

import atheris

_OURS = ["guest", "dhcp", "ra", "binding"]


def main() -> None:
    name, corpus, *flags = sys.argv[1:]
    with atheris.instrument_imports(include=_OURS):
        target = importlib.import_module(f"tests.fuzz.{name}")

    logging.disable()

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.randrange(2):
            return bytes(atheris.Mutate(data, most))
        with suppress(Exception):  # of an input that the mutation itself cannot read
            return bytes(target.mutate(bytes(data), rng)[:most])
        return bytes(atheris.Mutate(data, most))

    for number, seed in enumerate(target.SEEDS):
        (Path(corpus) / f"seed{number}").write_bytes(seed)
    longest = 4 * max(map(len, target.SEEDS))
    words = [sys.argv[0], corpus, f"-max_len={longest}", "-print_final_stats=1", *flags]
    atheris.Setup(words, target.run, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
