"""The guest's kernel keeps verifying the virtual router (NUD) and never loses a packet over it."""

from __future__ import annotations

from pathlib import Path

from guest.network import OUR_LINK_LOCAL
from tests.bed.capture import NA, NS, capture, kind
from tests.bed.echo import echoes
from tests.bed.guests import started
from tests.bed.kernel_guest import addressed, default_routers, hurry
from tests.bed.pod import REMOTE6
from tests.bed.wait import until


def test_twenty_verifications_of_the_virtual_router_lose_nothing(tmp_path: Path) -> None:
    with (
        started("cilium", "managed") as vm,
        capture(vm.guest, "eth0") as tap,
        capture(vm.pod.gateway, "pod0") as outside,
    ):
        guest = addressed(vm)
        hurry(guest)
        with echoes(guest, REMOTE6, tmp_path) as flow:
            until(lambda: [kind(f) for f in tap.read().received].count(NA) >= 20, "20 answers", 30)
            flow.goes_on()
        assert flow.lost() == 0
        assert default_routers(guest) == [str(OUR_LINK_LOCAL)]
        assert vm.sidecar.status()["guard"] == "on"
        asked = [frame[62:78] for frame in outside.read().received if kind(frame) == NS]
        assert asked, "the gateway is verified in its stead"
        assert OUR_LINK_LOCAL.packed not in asked, "an address that only this guest knows"
