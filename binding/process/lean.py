"""The standard library without what our programs never use: import this before anything else."""

from __future__ import annotations

import sys

from binding.process.lazy import when_used

# OpenSSL would cost each process 0.5 to 1.3 MiB. Libraries load it though nothing here is
# encrypted; asyncio and hashlib do without by themselves.
for _name in ("ssl", "_hashlib"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]  # None forbids the import

# dataclasses looks at inspect for the docstring of a class that has none, logging at traceback for
# an exception: 1.5 MiB of every VM, and 10 ms of CPU at the start of every program.
when_used("inspect", "traceback")
