"""lxml without inspect, ast and dis, which only parser targets need: 1.2 MiB, 10 ms of CPU."""

from __future__ import annotations

from binding.process import lean  # noqa: F401  # before what imports inspect
from binding.process.lazy import unused

with unused("inspect", "getfullargspec"):
    from lxml import etree

__all__ = ["etree"]
