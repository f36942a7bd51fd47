"""Modules that a library imports and we never use: they are executed when somebody does.

Import this before dataclasses, whose only need for `inspect` (1.2 MiB of every VM) is the docstring
of a class that has none. importlib's LazyLoader does not help: the next `import` executes it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class _WhenUsed(ModuleType):
    """Stands for a module until somebody asks it for anything."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        del sys.modules[self.__name__]
        module = import_module(self.__name__)
        vars(self).update(vars(module))
        return getattr(module, name)


for _name in ("inspect",):
    sys.modules.setdefault(_name, _WhenUsed(_name))
