"""The file of the pod's annotations, and what multus says in one of them."""

from __future__ import annotations

import json
import random

from binding.discover import network_status, pod_annotations
from binding.discover.network_status import ANNOTATION
from binding.packet import link_names
from tests.fuzz import mutations
from tests.samples import FLAT_LINK, discovered, secondary, snapshot, vmi

_BLUE = link_names.hashed("blue")
_DNS = {"nameservers": ["192.0.2.53", "fd00::53"], "search": ["blue.example"], "domain": "a.b"}
_STATUS = json.dumps([{"name": "ns1/blue", "interface": _BLUE, "dns": _DNS}], indent=4)
_VMI = vmi("03-two-iface-multus")
_POD = snapshot(FLAT_LINK, secondary("blue", "192.0.2.7/24", "fd00::7/64"))
SEEDS = [
    _STATUS.encode(),
    f'a="\\x7f\\u200b\\U000e0001"\n{ANNOTATION}={json.dumps(_STATUS)}\n'.encode(),
]


def run(data: bytes) -> None:
    """Whatever stands there, the guest is told servers that its NIC leads to, of DNS's names."""
    text = data.decode(errors="replace")
    for value in pod_annotations.parse(text, "").values():
        value.encode()
    for given in (pod_annotations.parse(text, ANNOTATION), {ANNOTATION: text}):
        warnings: list[str] = []
        network_status.dns_by_link(given, warnings)
        assert all(len(one) < 2000 for one in warnings)
        first, second = discovered(_VMI, _POD, annotations=given).guests
        assert first == discovered(_VMI, _POD).guests[0]
        assert all(
            any(server in own.network for own in (*second.ipv4, *second.ipv6))
            for server in second.dns
        )


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change octets, or keys and values."""
    if rng.randrange(2) or not data.startswith(b"["):
        return mutations.octets(data, rng)
    return mutations.json_text(data, rng)
