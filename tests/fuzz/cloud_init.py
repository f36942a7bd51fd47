"""cloud-init's data, which a hook call gives and gets back with networkData."""

from __future__ import annotations

import json

from binding.hooks import cloud_init
from tests.fuzz.guests import GUESTS
from tests.fuzz.mutations import json_text as mutate

__all__ = ["SEEDS", "mutate", "run"]

SEEDS = [
    json.dumps(one).encode()
    for one in (
        None,
        {},
        {"DataSource": "noCloud", "NetworkData": "", "UserData": "#cloud-config\n"},
        {"DataSource": "configDrive", "NoCloudMetaData": {"instance-id": "1"}},
        {"userData": "x", "networkData": "", "networkDataBase64": "eA=="},
        {"userData": "x", "networkDataSecretRef": {"name": "x"}},
    )
]


def run(data: bytes) -> None:
    """Refuse, or complete: what was there stays, and twice is once."""
    try:
        made = cloud_init.complete(data, GUESTS[:3])
    except cloud_init.CloudInitError as error:
        assert 0 < len(str(error)) < 1000
        return
    assert cloud_init.complete(made, GUESTS[:3]) == made
    if data.strip() and (before := json.loads(data)):
        after = json.loads(made)
        assert all(repr(after[key]) == repr(value) for key, value in before.items() if value)
