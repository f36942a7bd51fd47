"""Who holds which capability and which descriptor: /proc, compared with docs/security.md."""

from __future__ import annotations

from pathlib import Path

import grpc

from binding.process import oom
from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.guests import Started, started, started_in
from tests.bed.launcher import collect
from tests.bed.pod import pod
from tests.bed.privileges import BITS, Comparison, latest, watched
from tests.bed.sidecar import sidecar
from tests.bed.wait import until
from tests.samples import OWN_DOMAIN, vmi_json

AS_A_RUNTIME = (
    *("setpriv", "--bounding-set=-all,+net_admin,+net_raw", "--inh-caps=-all"),
    "--no-new-privs",
)
"""What containerd and CRI-O do for a container that is granted the two."""


def test_each_program_holds_what_the_document_says() -> None:
    document = Comparison()
    with (
        pod("flat") as made,
        sidecar(made, prefix=AS_A_RUNTIME, DSBRIDGE_HOOKS_LINGER="2") as running,
        watched(pid := running.process.pid) as seen,
        collect(running.hooks_dir) as hook,
    ):
        with hook.dial() as channel:
            grpc.channel_ready_future(channel).result(30)  # hooks stays for it
            domain = hook.define(OWN_DOMAIN, vmi_json())
            with (
                cable(made.netns, mac=made.layout.mac, mtu=made.layout.mtu) as nic,
                client("networkd", nic, made.workdir) as guest,
            ):
                guest.lease(30)
                made.netns.run("nft", "flush", "ruleset")
                made.netns.ip("link set k6t-eth0 down")
                assert hook.define(domain, vmi_json())
                until(lambda: "dsbridge" in made.netns.run("nft", "list", "ruleset"), "the guard")
                guest.renew()
                until(
                    lambda: "serve" in latest(pid) and not latest(pid)["serve"].permitted, "serve"
                )
                document.check(latest(pid))
        until(lambda: set(latest(pid)) == {"sidecar"}, "rest", 60)
        document.check(latest(pid))
    document.check_moments(seen)
    assert {one.permitted for one in seen["plumb"] if one.effective} >= {BITS["NET_ADMIN"]}
    document.check_complete()


def test_the_kernel_that_is_out_of_memory_chooses_any_process_but_the_sidecar() -> None:
    with started("flat", "managed") as vm:
        scores = _oom_scores(vm)
        assert scores["serve"] == oom.CHILD
        assert scores.get("hooks", oom.CHILD) == oom.CHILD
        assert scores["sidecar"] < oom.CHILD < oom.COMMAND


def test_in_a_burstable_pod_the_sidecar_is_chosen_last_too() -> None:
    """The kubelet gives such a container up to 999."""
    with pod("flat") as made, started_in(made, prefix=("choom", "-n", "999", "--")) as vm:
        scores = _oom_scores(vm)
        assert scores["serve"] > scores["sidecar"] == 999
        assert scores.get("hooks", 1000) > 999


def _oom_scores(vm: Started) -> dict[str, int]:
    pids = {one["name"]: one["pid"] for one in vm.sidecar.status()["processes"]}
    return {
        name: int(Path(f"/proc/{pid}/oom_score_adj").read_text())
        for name, pid in pids.items()
        if pid
    }
