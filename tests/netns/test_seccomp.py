"""The whole life of a sidecar under deploy/seccomp: a call that the profile lacks would kill it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bed.clients import client
from tests.bed.guests import Started, started_in
from tests.bed.handler import core_bridge
from tests.bed.launcher import collect, phase2
from tests.bed.pod import pod
from tests.bed.processes import family
from tests.bed.sidecar import PROGRAM, ROOT, sidecar
from tests.bed.wait import until
from tests.samples import MANAGED_DOMAIN, vmi_json

PROFILE = ROOT / "deploy/seccomp/dsbridge.json"
UNDER = (sys.executable, "-I", "-S", str(ROOT / "tests/bed/under_seccomp.py"), str(PROFILE), "kill")
COMMANDS = (("status",), ("status", "-o", "prometheus"), ("diagnose",), ("gather",))


def seccomp(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text().partition("Seccomp:\t")[2][:1]


def processes(vm: Started) -> dict[str, dict[str, object]]:
    return {one["name"]: one for one in vm.sidecar.status()["processes"]}


def is_alone(vm: Started) -> bool:
    found = processes(vm)
    return found["hooks"]["pid"] is None and bool(found["serve"]["resting"])


@pytest.mark.parametrize(("layout", "shape"), [("flat", "own"), ("calico", "managed")])
def test_a_vm_starts_leases_rests_and_is_mended(layout: str, shape: str) -> None:
    with (
        pod(layout) as made,
        started_in(made, shape, prefix=UNDER, DSBRIDGE_HOOKS_LINGER="1") as vm,
        client("networkd", vm.guest, made.workdir) as guest,
    ):
        assert guest.lease(60).ipv4 == made.layout.ipv4
        assert {seccomp(pid) for pid in family(vm.sidecar.process.pid)} == {"2"}
        for words in COMMANDS:
            command = made.netns.command(*UNDER, *PROGRAM, *words)
            command += ["--hooks-dir", str(vm.sidecar.hooks_dir)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
            assert done.returncode in (0, 1), (words, done.stderr.decode())
        until(lambda: is_alone(vm), "rest", 60)
        made.netns.run("nft", "flush", "ruleset")
        until(lambda: "dsbridge" in made.netns.run("nft", "list", "ruleset"), "the guard again", 30)
        guest.renew()
        until(lambda: "RENEWING" in vm.sidecar.log, "the renewal", 30)
        assert vm.hook.define(vm.domain, vm.vmi)
        killed = {name: one["restarts"] for name, one in processes(vm).items()}
        assert killed == {"sidecar": 0, "hooks": 0, "serve": 0}, vm.sidecar.log
        assert '"guard":"on"' in json.dumps(vm.sidecar.status(), separators=(",", ":"))


def test_takeover() -> None:
    with (
        pod("flat") as made,
        sidecar(made, prefix=UNDER, NETWORK_BINDING_PLUGIN_NAME="") as running,
        collect(running.hooks_dir) as hook,
    ):
        core_bridge(made.netns)
        domain = phase2(MANAGED_DOMAIN, mac=made.layout.mac, mtu=made.layout.mtu)
        given = vmi_json(name="17-hooksidecar-annotation-core-bridge")
        assert hook.define(domain, given)
        assert running.status()["guests"][0]["shape"] == "takeover"
        assert running.status()["guard"] == "on"


@pytest.mark.parametrize(
    "call",
    [
        "os.chmod('/', 0o777)",
        "os.setuid(0)",
        "os.mkfifo('/tmp/x')",
        "ctypes.CDLL(None).unshare(0x10000000) and exit(9)",
        "ctypes.CDLL(None).ptrace(0, 0, 0, 0) and exit(9)",
        "socket.socket(socket.AF_VSOCK)",
        "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)",
    ],
)
def test_what_no_program_of_ours_does_is_refused(call: str) -> None:
    code = f"import ctypes, os, socket\n{call}"
    errno = [*UNDER[:-1], "errno", sys.executable, "-c", code]
    assert subprocess.run(errno, capture_output=True, check=False).returncode in (1, 9)
    kill = [*UNDER, sys.executable, "-c", code]
    assert subprocess.run(kill, capture_output=True, check=False).returncode == -31  # SIGSYS
