"""Files of a former sidecar, which any container of the pod could have written."""

from __future__ import annotations

import os
import random
import tempfile

from binding.ipc.about import Instance
from binding.ipc.codec import encode
from binding.ipc.snapshot import Snapshot, merged
from binding.ipc.wiring import Wiring
from binding.packet import link_names
from binding.process.loop import Loop
from binding.sidecar import desired
from binding.sidecar.pod_reader import PodReader
from tests.fuzz import mutations
from tests.samples import FLAT, GUEST

_FILE = os.path.join(tempfile.mkdtemp(dir="/dev/shm"), "state.json")
_READER = PodReader(Loop(), _FILE, lambda _: None)
_WIRING = Wiring(link_names.names_of("eth0", primary=True), GUEST.mac, 1450)
_DESIRED = desired.Desired((GUEST,), (_WIRING,), ("a warning",), Instance("ns1", "vm1", "u"))
_SAVED = desired.Saved(
    desired.VERSION,
    desired.netns(),
    _DESIRED,
    "{}",
    "<domain/>",
    {"eth0-nic": 2},
    {"default": (4, 6)},
)
SEEDS = [b"d" + encode(_SAVED).encode(), b"s" + encode(FLAT).encode()]


def run(data: bytes) -> None:
    """It is used, or it is as good as none."""
    with open(_FILE, "wb") as file:
        file.write(data[1:])
    if data[:1] == b"s":
        assert isinstance(merged(FLAT, _READER._saved()), Snapshot)
        return
    found = desired.load(_FILE)
    assert found is None or encode(found)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change the JSON behind the letter."""
    return data[:1] + mutations.json_text(data[1:], rng)
