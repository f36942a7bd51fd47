"""What a hook call is told where the sidecar can do nothing for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from binding.ipc.messages import Define
from binding.process.loop import Loop
from binding.sidecar.reconciler import Reconciler
from tests.bed.processes import without_descriptors


def test_a_call_on_a_node_short_of_files_is_refused_and_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSBRIDGE_VMI", "{}")  # which the call sets
    loop = Loop()
    reconciler = Reconciler(loop, "dsbridge-test", str(tmp_path))
    with without_descriptors():
        call = loop.spawn(reconciler.define(Define(1, (), (), (), "{}", "<domain/>")))
    assert call.result().startswith("cannot look at the pod's links: ")
    assert call.result().endswith("KubeVirt calls again")
