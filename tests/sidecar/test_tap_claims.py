"""Which taps another sidecar of the pod has claimed."""

from __future__ import annotations

import os
import resource

from binding.sidecar.tap_claims import TapClaims

TAP = f"t{os.getpid()}"  # the names are those of this network namespace


def test_the_second_is_told_so_until_the_first_lets_go():
    first, second = TapClaims(), TapClaims()
    assert first.claim([TAP]) == frozenset()
    assert first.claim([TAP]) == frozenset()
    assert second.claim([TAP]) == {TAP}
    assert first.claim([]) == frozenset()
    assert second.claim([TAP]) == frozenset()
    second.claim([])


def test_want_of_descriptors_is_no_other_sidecar():
    claims = TapClaims()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        assert claims.claim([TAP]) == frozenset()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert claims.claim([TAP]) == frozenset()
    assert TapClaims().claim([TAP]) == {TAP}
    claims.claim([])
