"""Modules that a library imports and we never use: they are executed when somebody does.

Import this before dataclasses, whose only need for `inspect` (1.2 MiB of every VM) is the docstring
of a class that has none.
"""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec

for _name in ("inspect",):
    _spec = find_spec(_name) if _name not in sys.modules else None
    if _spec is not None and _spec.loader is not None:
        _spec.loader = LazyLoader(_spec.loader)
        sys.modules[_name] = module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])
