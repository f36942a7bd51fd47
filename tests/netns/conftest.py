"""Every test in this folder makes network namespaces."""

import pytest


def pytest_itemcollected(item):
    """Mark it, so that `make unit` leaves it out."""
    item.add_marker(pytest.mark.netns)
