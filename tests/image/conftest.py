"""The image that `make image` built, unpacked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.image.runtime import Root, unpacked


@pytest.fixture(scope="module")
def root() -> Iterator[Root]:
    with unpacked() as mounted:
        yield mounted
