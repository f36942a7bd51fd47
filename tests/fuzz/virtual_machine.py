"""VMI objects as virt-launcher sends them, up to the guests that they make."""

from __future__ import annotations

import json

from binding.discover import annotation, contradiction, guests, nic, vmi
from binding.ipc.codec import decode, encode
from binding.ipc.messages import Define
from tests.fuzz.mutations import json_text as mutate
from tests.samples import CALICO, FLAT, MANAGED, VMIS, vmi_object

__all__ = ["SEEDS", "mutate", "run"]

REFUSED = (
    vmi.VmiError,
    annotation.OverrideError,
    contradiction.Contradiction,
    nic.MissingLink,
)
SEEDS = [json.dumps(vmi_object(name)).encode() for name in VMIS]


def run(data: bytes) -> None:
    """Refuse with a reason of one line, or make guests that survive the way to the sidecar."""
    try:
        instance = vmi.decode(data)
        for pod, attached, plugin in ((FLAT, {}, "dsbridge"), (CALICO, MANAGED, None)):
            found = guests.guests(
                pod, instance, attached, plugin=plugin, defaults=annotation.Override()
            )
            contradiction.refuse(found.guests, pod)
            text = data.decode(errors="replace")
            asked = Define(1, found.guests, found.wirings, found.warnings, text, "<domain/>")
            assert decode(Define, encode(asked)) == asked
    except REFUSED as error:
        assert str(error)
        assert len(str(error)) < 2000, "a reason that nobody reads"
