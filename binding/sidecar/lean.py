"""The standard library without what the sidecar never uses: import this before anything else."""

from __future__ import annotations

from binding.process import no_openssl  # noqa: F401  # imported for what it keeps out
from binding.process.lazy import when_used

# dataclasses looks at it for the docstring of a class that has none: 1.2 MiB of every VM.
when_used("inspect")
