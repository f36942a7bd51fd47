"""When a child that has not said yet that it is ready is killed and replaced."""

from __future__ import annotations

from binding.process.progress import Progress

_SLOWEST = 8.0


class StartWatch:
    """Watches the starts of one child, one after the other."""

    def __init__(self, ready_within: float) -> None:
        self._ready_within = ready_within
        self._slowness = 1.0
        self._progress: Progress | None = None

    def begin(self, pid: int) -> None:
        """Watch another start, of this process."""
        self._progress = Progress(pid, self._slowness)

    def look(self, age: float) -> str:
        """Return why the child, started `age` seconds ago, is to be killed, or an empty text."""
        assert self._progress is not None
        why = self._progress.look()
        if not why and age >= self._ready_within * self._slowness:
            why = f"it was not ready after {age:.0f} s"
        if why:
            # The next one gets twice the time: on an overloaded node all are slow.
            self._slowness = min(2 * self._slowness, _SLOWEST)
        return why

    def succeed(self) -> None:
        """Note that the child works: the next start gets no more time than the first."""
        self._slowness = 1.0
