"""The standard library without what our programs never use: import this before anything else."""

from __future__ import annotations

from binding.process import no_openssl  # noqa: F401  # imported for what it keeps out
from binding.process.lazy import when_used

# dataclasses looks at inspect for the docstring of a class that has none, logging at traceback for
# an exception: 1.5 MiB of every VM, and 10 ms of CPU at the start of every program.
when_used("inspect", "traceback")
