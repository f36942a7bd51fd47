"""A guest that sends mutated requests by the thousand: then all protocols answer, memory is flat.

FRAMES=1000000 in the environment makes it the million; the default is what a minute takes.
"""

from __future__ import annotations

import os
import random
import time
from functools import partial

import pytest

from guest.ethernet import mac_bytes
from tests.bed.handler import managed_tap
from tests.bed.launcher import collect, phase2
from tests.bed.pod import pod
from tests.bed.processes import family, memory
from tests.bed.sidecar import sidecar
from tests.bed.wait import until
from tests.differential import replies, request4, request6
from tests.differential.peers import Guest, plugged
from tests.fuzz import requests
from tests.fuzz.guests import MAC
from tests.samples import MANAGED_DOMAIN, vmi_json

pytestmark = pytest.mark.timeout(7200)
FRAMES = int(os.environ.get("FRAMES", "40000"))
BATCH = 24
GROWTH = 3 << 20
"""Bytes, between the first third and the end."""
KINDS = ("DISCOVER", "SOLICIT", "RS")


def mutated(seed: int) -> list[bytes]:
    """Return the frames of one batch, as this guest's."""
    rng = random.Random(seed)
    made = (requests.mutate(rng.choice(requests.SEEDS), rng)[2:] for _ in range(BATCH))
    return [frame.replace(mac_bytes(MAC), request4.MAC)[:1500].ljust(14, b"\0") for frame in made]


def answered(guest: Guest, kind: str, number: int) -> bool:
    """Ask honestly, and say whether the answer comes within a second."""
    if kind == "RS":
        guest.send(request6.Solicitation().frame())
    elif kind == "DISCOVER":
        guest.send(request4.made(kind, ("none",), number))
    else:
        guest.send(request6.made(kind, ("none",), number & 0xFFFFFF, b""))
    until_ = time.monotonic() + 1
    while time.monotonic() < until_:
        frame = guest.receive(0.2)
        if frame is None:
            continue
        if kind == "RS" and replies.is_ra(frame, request6.LINK_LOCAL):
            return True
        if number in (replies.number4(frame), replies.number6(frame)):
            return True
    return False


def test_after_mutated_frames_all_protocols_answer_and_memory_is_flat() -> None:
    with (
        pod("kube-ovn") as made,
        sidecar(made) as running,
        collect(running.hooks_dir) as hook,
    ):
        managed_tap(made.netns)
        layout = made.layout
        hook.define(phase2(MANAGED_DOMAIN, mac=layout.mac, mtu=layout.mtu), vmi_json())
        with plugged(made.netns) as guest:
            early, begun = 0, time.monotonic()
            for start in range(0, FRAMES, BATCH):
                for frame in mutated(start):
                    guest.send(frame)
                mark = 0xA00000 + start // BATCH % 0x50000
                until(partial(answered, guest, "DISCOVER", mark), "an answer behind a batch", 30)
                if not early and start >= FRAMES // 3:
                    early = memory(family(running.process.pid))
            rate = FRAMES / (time.monotonic() - begun)
            for kind in KINDS:
                until(partial(answered, guest, kind, 0xF00001), f"an answer to {kind}", 30)
            late = memory(family(running.process.pid))
        processes = {one["name"]: one["restarts"] for one in running.status()["processes"]}
        print(f"{FRAMES} frames, {rate:.0f}/s, {early / 2**20:.1f} → {late / 2**20:.1f} MiB")
        assert processes["serve"] == processes["sidecar"] == 0, running.log
        assert late - early < GROWTH
        assert "Traceback" not in running.log
