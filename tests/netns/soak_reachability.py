"""Ten minutes of ping through the virtual router at the kernel's own pace: `make soak`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.bed.capture import NA, capture, kind
from tests.bed.echo import echoes
from tests.bed.guests import started
from tests.bed.kernel_guest import addressed
from tests.bed.pod import REMOTE4, REMOTE6

SECONDS = int(os.environ.get("SECONDS_OF_SOAK", "600"))
pytestmark = pytest.mark.timeout(SECONDS + 120)


def test_ten_minutes_of_verifying_the_virtual_router_lose_nothing(tmp_path: Path) -> None:
    with started("cilium", "managed") as vm, capture(vm.guest, "eth0") as tap:
        guest = addressed(vm)
        with echoes(guest, REMOTE4, tmp_path) as ipv4, echoes(guest, REMOTE6, tmp_path) as ipv6:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                time.sleep(1)
                tap.read()
        assert (ipv4.lost(), ipv6.lost()) == (0, 0)
        verified = [kind(frame) for frame in tap.read().received].count(NA)
        assert len(ipv6.answered()) > SECONDS * 10
        assert verified >= SECONDS // 50, "the slowest pace of RFC 4861: 45 s and 5 s"
        print(f"{len(ipv6.answered())} echoes each, {verified} verifications, none lost")
