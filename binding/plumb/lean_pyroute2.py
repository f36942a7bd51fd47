"""Imports of pyroute2 at half of what they cost in CPU time and memory.

pyroute2's own __init__ imports all of it: 0.25 s of CPU and 7 MiB more than netlink needs, in a
container of 0.2 CPU and 64 MB. While `stand_ins` holds, the package itself is an empty module,
so that its submodules are imported alone; what those import for uses that plumb has not is
replaced by modules that do nothing (0.03 s and 3 MiB).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from types import ModuleType

from binding.process import lean  # noqa: F401  # imported for what it keeps out
from binding.process.lazy import when_used

# What asyncio and pyroute2 import and plumb never uses: 0.7 MiB.
when_used("asyncio.sslproto", "bz2", "ctypes.util", "locale", "lzma", "shutil", "tempfile")


class _Absent(ModuleType):
    """A module whose every attribute is the module itself, which can be called and does nothing."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: object, **__: object) -> object:
        return self


@contextmanager
def stand_ins(package: str, *unused: str) -> Iterator[None]:
    """Import submodules of a package without its __init__, and without the `unused` modules.

    Modules that are imported already stay as they are; afterwards sys.modules has none of ours.
    """
    import asyncio  # noqa: F401, PLC0415  # completely, before pyroute2 imports it among stand-ins

    spec = find_spec(package)
    assert spec is not None
    made = {name: _Absent(name) for name in unused} | {package: module_from_spec(spec)}
    placed = {name: made[name] for name in made if sys.modules.get(name) is None}
    before = {name: sys.modules[name] for name in placed if name in sys.modules}
    sys.modules.update(placed)
    try:
        yield
    finally:
        for name in placed:
            del sys.modules[name]
        sys.modules.update(before)  # what process.lean forbids stays forbidden
