"""Modules that are executed at their first use, and not at their import.

For what libraries import and our programs never use, and for what only a hook call needs.
importlib's LazyLoader does not help: Python 3.11 executes the module at the next `import`.
"""

from __future__ import annotations

import sys
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
