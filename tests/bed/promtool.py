"""Prometheus' own checker, of the Debian package `prometheus`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def promtool(*words: str, folder: Path | None = None, stdin: str = "") -> str:
    """Run it and return what it said; AssertionError where it finds fault."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is installed by `make test`, not by `make unit`")
    done = subprocess.run(
        [program, *words], cwd=folder, input=stdin, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said
