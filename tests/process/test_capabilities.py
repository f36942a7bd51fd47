"""What a process may do after capabilities.hold, asked of the kernel (/proc/self/status)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from binding.process import capabilities

ROOT = Path(__file__).parents[2]
NET_ADMIN, NET_RAW, BPF = 1 << 12, 1 << 13, 1 << 39

privileged = pytest.mark.skipif(os.geteuid() != 0, reason="needs capabilities to give away")


def sets_after(code: str) -> dict[str, int]:
    script = (
        f"from binding.process import capabilities\n{code}\nprint(open('/proc/self/status').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    fields = (line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    return {name: int(value, 16) for name, value in fields if name.startswith(("Cap", "NoNew"))}


@privileged
def test_what_is_held_is_effective_and_the_rest_is_gone_for_good():
    sets = sets_after("capabilities.hold({'NET_ADMIN'})")
    assert (sets["CapEff"], sets["CapPrm"], sets["CapInh"]) == (NET_ADMIN, NET_ADMIN, 0)


@privileged
def test_capabilities_above_the_32nd_are_known_by_name():
    assert sets_after("capabilities.hold({'BPF', 'NET_RAW'})")["CapEff"] == BPF | NET_RAW


@privileged
def test_dropping_leaves_nothing():
    sets = sets_after("capabilities.drop()")
    assert (sets["CapEff"], sets["CapPrm"]) == (0, 0)


@privileged
def test_what_is_not_permitted_is_not_held_and_no_error():
    assert sets_after("capabilities.drop(); capabilities.hold({'NET_ADMIN'})")["CapEff"] == 0


@privileged
def test_permitted_names_what_could_be_raised():
    code = (
        "capabilities.hold({'NET_ADMIN', 'NET_RAW'})\n"
        "assert capabilities.permitted() == {'NET_ADMIN', 'NET_RAW'}"
    )
    assert sets_after(code)["CapPrm"] == NET_ADMIN | NET_RAW


def test_no_new_privs_needs_no_privilege():
    assert sets_after("capabilities.drop()\ncapabilities.no_new_privs()")["NoNewPrivs"] == 1


def test_a_misspelt_capability_is_an_error():
    with pytest.raises(ValueError, match="no such capability: CAP_NET_ADMIN"):
        capabilities.hold({"CAP_NET_ADMIN"})


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        pytest.param({"NETWORK_BINDING_PLUGIN_NAME": "dsbridge"}, "deploy/policy", id="named"),
        pytest.param({"NETWORK_BINDING_PLUGIN_NAME": ""}, "deploy/policy-by-image", id="takeover"),
        pytest.param({}, "deploy/policy-by-image", id="before KubeVirt 1.9"),
    ],
)
def test_the_remedy_is_the_policy_that_knows_this_container(environ, directory, monkeypatch):
    monkeypatch.delenv("NETWORK_BINDING_PLUGIN_NAME", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert f"apply {directory} " in capabilities.remedy()
    assert (Path(__file__).parents[2] / directory / "kustomization.yaml").exists()
