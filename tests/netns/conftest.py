"""Every test in this folder makes network namespaces."""

import pytest

from tests.bed.clients import client
from tests.bed.diagnosis import solicit, until_well
from tests.bed.guests import started


@pytest.fixture(scope="module")
def well_guest(tmp_path_factory):
    """A managed guest that has its leases, for faults that can be undone."""
    with (
        started("flat", "managed") as vm,
        client("networkd", vm.guest, tmp_path_factory.mktemp("guest")) as guest,
    ):
        guest.lease(30)
        solicit(vm)
        until_well(vm)
        yield vm


def pytest_itemcollected(item):
    """Mark it, so that `make unit` leaves it out."""
    item.add_marker(pytest.mark.netns)
