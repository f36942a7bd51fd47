"""What goes on beside a test for as long as it looks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def again_and_again(work: Callable[[], object]) -> Iterator[None]:
    """Do something five times a second beside the test."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(0.2):
            work()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
