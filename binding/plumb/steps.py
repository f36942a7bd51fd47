"""All or nothing: steps that are undone in reverse when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One change. `undo` runs only after `do` succeeded, and must bear repetition."""

    name: str
    """What it does, for the operator: `create tap tap0`."""
    do: Callable[[], object]
    undo: Callable[[], object] | None = None


class StepError(Exception):
    """A step failed and everything before it was undone, except for `remains`."""

    def __init__(self, step: str, cause: Exception, remains: tuple[str, ...]) -> None:
        super().__init__(step, cause)
        self.step = step
        self.cause = cause
        self.remains = remains
        """What could not be undone, and why; empty as a rule."""


def carry_out(steps: Iterable[Step], before_each: Callable[[], object]) -> None:
    """Do all steps in order. Raises StepError after undoing those that were done.

    before_each may raise to stop between two steps: a step itself is never cut in two.
    """
    done: list[Step] = []
    for step in steps:
        try:
            before_each()
            step.do()
        except Exception as error:
            raise StepError(step.name, error, _undo(done)) from error
        done.append(step)


def _undo(done: list[Step]) -> tuple[str, ...]:
    remains: list[str] = []
    for step in reversed(done):
        if step.undo is None:
            continue
        try:
            step.undo()
        except Exception as error:  # noqa: BLE001  # whatever it is, the rest must be undone too
            remains.append(f"{step.name}: {error}")
    return tuple(remains)
