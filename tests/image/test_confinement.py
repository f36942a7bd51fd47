"""What the programs of the image may do in runc: capabilities, descriptors, seccomp profiles."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.bed.privileges import Comparison, latest, watched
from tests.bed.processes import family
from tests.bed.wait import until
from tests.image.running import Running, asking, running
from tests.image.runtime import Root
from tests.image.seccomp import localhost
from tests.samples import vmi_json

pytestmark = pytest.mark.image
BOTH = ("NET_RAW", "NET_ADMIN")
COMMANDS = (
    ("status",),
    ("status", "-o", "prometheus"),
    ("diagnose",),
    ("gather",),
    ("--version",),
)


def is_alone(one: Running) -> bool:
    return set(latest(one.container.pid)) == {"sidecar"}


def is_guarded(one: Running) -> bool:
    return "dsbridge" in one.pod.netns.run("nft", "list", "ruleset")


@pytest.mark.timeout(300)
def test_each_program_holds_what_the_document_says(root: Root, tmp_path: Path) -> None:
    """From the container's first instruction on: start, wiring, serving, mending, rest."""
    document = Comparison()
    with running(root, *BOTH, tun=True, DSBRIDGE_HOOKS_LINGER="2") as one:
        pid = one.container.pid
        with watched(pid) as seen, one.hook.dial() as channel:
            grpc.channel_ready_future(channel).result(30)  # hooks stays for it
            domain = one.define("own")
            with asking(one, tmp_path, "networkd") as guest:
                guest.lease(60)
                until(lambda: not latest(pid)["serve"].permitted, "a serve without capabilities")
                document.check(latest(pid))
                one.pod.netns.run("nft", "flush", "ruleset")
                one.pod.netns.ip("link set k6t-eth0 down")
                assert one.hook.define(domain, vmi_json())
        until(lambda: is_alone(one), "rest", 60)
        document.check(latest(pid))
    document.check_moments(seen)
    document.check_complete()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("shape", ["own", "managed"])
@pytest.mark.parametrize("profile", ["as it is", "deadly"])
def test_a_vm_lives_under_the_profile_of_deploy_seccomp(
    root: Root, shape: str, profile: str, tmp_path: Path
) -> None:
    """As it is, a call that it lacks fails; deadly, such a call ends the process."""
    seccomp: dict[str, Any] = localhost()
    if profile == "deadly":
        seccomp["defaultAction"] = "SCMP_ACT_KILL_PROCESS"
        del seccomp["defaultErrnoRet"]
    environ = {"DSBRIDGE_HOOKS_LINGER": "1"}
    with running(root, *BOTH, tun=shape == "own", seccomp=seccomp, **environ) as one:
        domain = one.define(shape)
        with asking(one, tmp_path, "networkd") as guest:
            assert guest.lease(60).ipv4 == one.pod.layout.ipv4
            filtered = {seccomp_mode(pid) for pid in family(one.container.pid)}
            assert filtered == {"2"}
            for words in COMMANDS:
                with one.container.start("dsbridge", *words) as command:
                    assert command.stdout.read(), words
                assert command.returncode in (0, 1), words  # 1: a warning of diagnose
            until(lambda: is_alone(one), "rest", 60)
            one.pod.netns.run("nft", "flush", "ruleset")
            until(lambda: is_guarded(one), "the guard", 30)
            guest.renew()
            assert one.hook.define(domain, vmi_json())
            until(lambda: "serve" in latest(one.container.pid), "a serve that answers")
            processes = {p["name"]: p for p in one.container.status()["processes"]}
            assert {p["restarts"] for p in processes.values()} == {0}
            os.kill(one.container.child("binding.serve"), signal.SIGKILL)
            guest.renew()
        status = one.container.status()
        assert status["guard"] == "on"
        assert not one.container.out_of_memory


def seccomp_mode(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text().partition("Seccomp:\t")[2][:1]
