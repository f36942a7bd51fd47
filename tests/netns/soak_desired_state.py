"""Half an hour of misfortune for one VM with short leases: it never loses an address.

Run by `make soak` (SOAK_SECONDS, 1800 by default). Every few seconds one of the sidecar's programs
is killed or stopped, a link flaps, or somebody flushes what the sidecar made.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.bed.clients import client
from tests.bed.guests import Started, started
from tests.bed.processes import family, memory

pytestmark = pytest.mark.timeout(0)
SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
SHORT = {"dsbridge.io/default": {"lease": 60}}
MIB = 2**20


def test_a_guest_with_short_leases_keeps_its_addresses(tmp_path: Path) -> None:
    chance = random.Random(4)
    done: Counter[str] = Counter()
    with started("flat", "own", SHORT) as vm, client("networkd", vm.guest, tmp_path) as program:
        first = program.lease(30)
        begun, lost, largest = time.monotonic(), 0, 0
        while time.monotonic() < begun + SECONDS:
            name = chance.choice(sorted(MISFORTUNES))
            MISFORTUNES[name](vm)
            done[name] += 1
            pause = time.monotonic() + chance.uniform(2, 6)
            while time.monotonic() < pause:
                now = program.observe()
                if (now.ipv4, now.ipv6) != (first.ipv4, first.ipv6):
                    lost += 1
                time.sleep(0.5)
            assert vm.sidecar.process.poll() is None, vm.sidecar.log[-4000:]
            largest = max(largest, memory([vm.sidecar.process.pid]))
        status = vm.sidecar.status()
        print(f"\n{SECONDS:.0f} s: {dict(done)}; addresses lost {lost} times;")
        print(f"sidecar at most {largest / MIB:.1f} MiB; {status['processes']}")
        assert lost == 0
        assert largest <= 12 * MIB


def _signal(number: int, name: str):
    def act(vm: Started) -> None:
        sidecar = vm.sidecar.process.pid
        for pid in family(sidecar)[1:]:
            if name in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, number)

    return act


def _ip(lines: str):
    return lambda vm: vm.pod.netns.ip(lines)


def _flush(vm: Started) -> None:
    vm.pod.netns.run("nft", "flush", "ruleset")


def _carrier(vm: Started) -> None:
    vm.pod.gateway.ip("link set pod0 down\nlink set pod0 up")


MISFORTUNES = {
    "serve killed": _signal(signal.SIGKILL, "binding.serve"),
    "serve stopped": _signal(signal.SIGSTOP, "binding.serve"),
    "hooks killed": _signal(signal.SIGKILL, "binding.hooks"),
    "plumb killed": _signal(signal.SIGKILL, "binding.plumb"),
    "guard flushed": _flush,
    "NIC down": _ip("link set eth0-nic down"),
    "NIC out of the bridge": _ip("link set eth0-nic nomaster"),
    "bridge down": _ip("link set k6t-eth0 down"),
    "bridge deleted": _ip("link del k6t-eth0"),
    "carrier lost": _carrier,
}
