"""`mtu` of the annotation reaches a guest's virtio NIC before any DHCP client asks."""

from __future__ import annotations

import pytest

from tests.bed.handler import managed_tap
from tests.bed.launcher import collect, phase2
from tests.bed.pod import pod
from tests.bed.sidecar import sidecar
from tests.bed.vm import nics, vm
from tests.samples import MANAGED_DOMAIN, OWN_DOMAIN, vmi_json

pytestmark = [pytest.mark.netns, pytest.mark.vm]


@pytest.mark.parametrize("shape", ["managed", "own"])
def test_the_nic_is_no_larger_than_its_annotation_says(shape: str) -> None:
    """virtio's own limit is the domain's: Windows and drivers without option 26 see no other."""
    with pod("flat") as made, sidecar(made) as running, collect(running.hooks_dir) as hook:
        given = OWN_DOMAIN
        if shape == "managed":
            managed_tap(made.netns)
            given = phase2(MANAGED_DOMAIN, mac=made.layout.mac, mtu=made.layout.mtu)
        domain = hook.define(given, vmi_json({"dsbridge.io/default": {"mtu": 1300}}))
        (nic,) = nics(domain)
        assert nic.mtu == 1300
        with vm(made, nic) as guest:
            lease = guest.report().lease
            assert (lease.mtu, lease.ipv4) == (1300, made.layout.ipv4)
            larger = "ip link set eth0 mtu 1301 2>/dev/null || echo refused"
            assert "refused" in guest.run(larger)
            assert "refused" not in guest.run(larger.replace("1301", "1299"))
