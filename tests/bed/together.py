"""One story told of several clients at once: a lease of 20 seconds costs all of them 20."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def together(story: Callable[[str], None], names: Iterable[str]) -> None:
    """Call story(name) for all names at once; ExceptionGroup has every failure by its name."""
    with ThreadPoolExecutor(len(told := tuple(names))) as pool:
        failures = {name: pool.submit(story, name) for name in told}
    errors = []
    for name, done in failures.items():
        if error := done.exception():
            error.add_note(f"client: {name}")
            errors.append(error)
    if errors:
        raise BaseExceptionGroup("clients that failed", errors)
