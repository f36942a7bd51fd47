"""All or nothing: steps, which are undone in reverse order when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One change. `undo` is called only after `do` succeeded, and may be called again."""

    name: str
    """What the step does, as the error message names it: `create tap tap0`."""
    do: Callable[[], object]
    undo: Callable[[], object] | None = None


class StepError(Exception):
    """A step failed, and all steps before it were undone, except for `remains`."""

    def __init__(self, step: str, cause: Exception, remains: tuple[str, ...]) -> None:
        super().__init__(step, cause)
        self.step = step
        self.cause = cause
        self.remains = remains
        """The steps that could not be undone, and why; empty as a rule."""


def carry_out(
    steps: Iterable[Step], before_each: Callable[[], object], before_undo: Callable[[], object]
) -> None:
    """Do all steps in order. Raises StepError after undoing the steps that were done.

    `before_each` may raise to stop between two steps; no step is interrupted half-way.
    """
    done: list[Step] = []
    for step in steps:
        is_begun = False
        try:
            before_each()
            is_begun = True
            step.do()
        except Exception as error:  # whatever it is, the steps before are undone
            before_undo()
            if is_begun and isinstance(error, OSError):  # its answer is lost: it may be done
                _undo([step])
            raise StepError(step.name, error, _undo(done)) from error
        done.append(step)


def _undo(done: list[Step]) -> tuple[str, ...]:
    remains: list[str] = []
    for step in reversed(done):
        if step.undo is None:
            continue
        try:
            step.undo()
        except Exception as error:  # noqa: BLE001  # the other steps must be undone, whatever this one raises
            remains.append(f"{step.name}: {error}")
    return tuple(remains)
