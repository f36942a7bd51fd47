"""One test of several clients at once: a lease of 20 seconds costs all of them 20."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def in_parallel(test: Callable[[str], None], names: Iterable[str]) -> None:
    """Call test(name) for all names at once; ExceptionGroup has every failure with its name."""
    with ThreadPoolExecutor(len(known := tuple(names))) as pool:
        tests = {name: pool.submit(test, name) for name in known}
    errors = []
    for name, done in tests.items():
        if error := done.exception():
            error.add_note(f"client: {name}")
            errors.append(error)
    if errors:
        raise BaseExceptionGroup("clients that failed", errors)
