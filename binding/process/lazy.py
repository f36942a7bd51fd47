"""Modules that are executed at their first use, and not at their import.

For what libraries import and our programs never use, and for what only a hook call needs.
importlib's LazyLoader does not help: Python 3.11 executes the module at the next `import`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


class _WhenUsed(ModuleType):
    """Stands for a module until the first access to an attribute of it."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        del sys.modules[self.__name__]
        module = import_module(self.__name__)
        vars(self).update(vars(module))
        return getattr(module, name)


def when_used(*names: str) -> None:
    """Let these modules be executed at their first use; call this before they are imported."""
    for name in names:
        sys.modules.setdefault(name, _WhenUsed(name))


@contextmanager
def unused(module: str, function: str) -> Iterator[None]:
    """Let a library be imported that takes a function of a module and, in our use, never needs it.

    In that time the function returns an empty text, and the module stays one that is executed at
    its first use. Nothing is changed where it has been executed already.
    """
    stand_in = sys.modules[module]
    if not isinstance(stand_in, _WhenUsed) or function in vars(stand_in):
        yield
        return
    vars(stand_in)[function] = lambda *_: ""
    try:
        yield
    finally:
        vars(stand_in).pop(function, None)
