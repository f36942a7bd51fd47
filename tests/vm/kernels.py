"""The guard's frames on the kernels that Debian ships: `make test-kernels`, some minutes each."""

from __future__ import annotations

import re

import pytest

from tests.bed.other_kernel import under

pytestmark = [pytest.mark.vm, pytest.mark.timeout(0)]
_PYTEST = ".venv/bin/python -m pytest -q -p no:cacheprovider --color=no --basetemp=/tmp/pytest"


@pytest.mark.parametrize(("release", "kernel"), [("bookworm", "6.1."), ("trixie", "6.12.")])
def test_evasions_stop_and_honest_frames_pass(release: str, kernel: str) -> None:
    command = f"uname -r && {_PYTEST} tests/netns/test_guard.py"
    said = under(release, command, 3600)
    print(said[-3000:])
    assert re.search(rf"^{re.escape(kernel)}", said, re.MULTILINE)
    assert re.search(r"\d+ passed", said)
