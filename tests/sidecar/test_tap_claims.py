"""Which taps another sidecar of the pod has claimed."""

from __future__ import annotations

import os

from binding.sidecar.tap_claims import TapClaims
from tests.bed.processes import without_descriptors

TAP = f"t{os.getpid()}"  # the names are those of this network namespace


def test_the_second_is_told_so_until_the_first_lets_go():
    first, second = TapClaims(), TapClaims()
    first.claim([TAP])
    assert first.taken == frozenset()
    first.claim([TAP])
    assert first.taken == frozenset()
    second.claim([TAP])
    assert second.taken == {TAP}
    first.claim([])
    assert first.taken == frozenset()
    second.claim([TAP])
    assert second.taken == frozenset()
    second.claim([])


def test_want_of_descriptors_is_no_other_sidecar():
    claims = TapClaims()
    with without_descriptors():
        claims.claim([TAP])
        assert claims.taken == frozenset()
    claims.claim([TAP])
    assert claims.taken == frozenset()
    other = TapClaims()
    other.claim([TAP])
    assert other.taken == {TAP}
    claims.claim([])
