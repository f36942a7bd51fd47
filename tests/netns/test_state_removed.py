"""A state directory that somebody cleans up while the sidecar runs."""

from __future__ import annotations

import json
import subprocess

from tests.bed.diagnosis import diagnose, until_logged
from tests.bed.guests import started
from tests.bed.wait import until


def test_what_is_removed_of_the_state_is_made_again_and_named():
    with started("flat", "managed") as vm:
        state = vm.sidecar.hooks_dir / "state"
        subprocess.run(["rm", "-rf", state], check=True)
        until_logged(vm, "somebody has removed status.sock, control.sock, desired.json")
        until((state / "snapshot.json").exists, "the last file is there again")
        found = diagnose(vm).wrong["state-removed"]
        assert found["severity"] == "warning"
        assert "desired.json" in found["text"]
        assert found["remedy"]
        assert found["time"]
        # A sidecar that is started anew serves by it.
        saved = json.loads((state / "desired.json").read_text())
        assert saved["desired"]["guests"][0]["tap"] == "tap0"
