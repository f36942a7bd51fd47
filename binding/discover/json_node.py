"""A JSON value together with its path, so that an error can name the field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value and its path. An absent field and null are the same, as in Go."""

    value: object
    path: str
    raises: type[ValueError]

    def __getitem__(self, key: str) -> Node:
        """Return a member of an object; of an absent member a node whose value is None."""
        path = f"{self.path}.{key}" if self.path else key
        return Node(self._object().get(key), path, self.raises)

    @property
    def present(self) -> bool:
        """Whether the field is there and not null."""
        return self.value is not None

    def items(self) -> Iterator[tuple[str, Node]]:
        """Yield the members of an object."""
        for key, value in self._object().items():
            yield scalar(key), Node(value, f"{self.path}[{key!r}]", self.raises)

    def list(self) -> Iterator[Node]:
        """Yield the members of an array."""
        if self.value is None:
            return
        if not isinstance(self.value, list):
            raise self.error("must be an array")
        for index, value in enumerate(self.value):
            yield Node(value, f"{self.path}[{index}]", self.raises)

    def text(self) -> str:
        """Return a string, empty when absent."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            raise self.error("must be a string")
        return scalar(self.value)

    def matching(self, pattern: re.Pattern[str], remedy: str, *, need: bool = False) -> str:
        """Return a string that matches the pattern, or an empty string unless `need` is set."""
        text = self.text()
        if (text or need) and not pattern.fullmatch(text):
            raise self.error(f"is not valid; {remedy}")
        return text

    def number(self, low: int, high: int) -> int | None:
        """Return an integer from `low` to `high`, None when absent."""
        if self.value is None:
            return None
        # bool is an int in Python, not in JSON.
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.error("must be an integer")
        if not low <= self.value <= high:
            raise self.error(f"must be from {low} to {high}")
        return self.value

    def flag(self) -> bool:
        """Return a boolean, false when absent."""
        if self.value is None:
            return False
        if not isinstance(self.value, bool):
            raise self.error("must be true or false")
        return self.value

    def error(self, problem: str) -> ValueError:
        """Return the error that names this field, its value and the problem."""
        shown = "" if self.value is None else f" {_short(self.value)}"
        return self.raises(f"{self.path or 'the object'}:{shown} {problem}")

    def fail(self, problem: str) -> NoReturn:
        """Raise the error that names this field."""
        raise self.error(problem)

    def _object(self) -> dict[str, object]:
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.error("must be an object")
        return self.value


def scalar(text: str) -> str:
    """Replace lone surrogates, which JSON text can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _short(value: object) -> str:
    shown = repr(value) if isinstance(value, str | int | float) else type(value).__name__
    return shown if len(shown) <= 60 else shown[:57] + "..."
