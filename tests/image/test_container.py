"""The image in runc, with exactly what KubeVirt and the admission policy give it."""

from __future__ import annotations

import os
import signal
from ipaddress import IPv6Interface
from pathlib import Path

import grpc
import pytest

from proto import info_pb2, info_pb2_grpc
from tests.bed.launcher import Hook
from tests.bed.pod import Pod
from tests.bed.wait import until
from tests.image.running import lease_of, running

pytestmark = pytest.mark.image

ENOUGH = 56_000_000
"""Bytes at the most, with the image's files in the node's cache already: of 64,000,000."""
READY = 6.0
"""Seconds from the container's start to Info's answer, with 0.2 CPU, on a busy machine, too."""


def privileges(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines)
    names = ("CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Seccomp")
    return {name: int(fields[name], 16) for name in names}


def left_by_the_cni(made: Pod) -> set[tuple[str, ...]]:
    """Return names and MACs of the links, their addresses but for the kernel's own, the routes."""
    links = made.netns.query("addr")
    routes = made.netns.query("route") + made.netns.query("-6", "route")
    return (
        {(link["ifname"], link["address"]) for link in links}
        | {
            (link["ifname"], one["local"], str(one["prefixlen"]))
            for link in links
            for one in link["addr_info"]
            if one["scope"] == "global"
        }
        | {(route["dst"], route.get("gateway", ""), route["dev"]) for route in routes}
    )


def asks_info_again(hook: Hook) -> str:
    with hook.dial() as channel:
        return info_pb2_grpc.InfoStub(channel).Info(info_pb2.InfoParams(), timeout=5).name


@pytest.mark.parametrize(
    ("shape", "capabilities"),
    [
        pytest.param("managed", ("NET_RAW",), id="managed with NET_RAW"),
        pytest.param("managed", ("NET_RAW", "NET_ADMIN"), id="managed with both"),
        pytest.param("own", ("NET_RAW", "NET_ADMIN"), id="own with both and tun"),
    ],
)
def test_a_guest_leases_both_families_within_kubevirts_limits(
    root, shape, capabilities, tmp_path, record_property
):
    with running(root, *capabilities, tun=shape == "own") as one:
        one.define(shape)
        lease = lease_of(one, tmp_path)
        assert lease.ipv4 == one.pod.layout.ipv4
        assert lease.ipv6 == tuple(IPv6Interface(a.ip) for a in one.pod.layout.ipv6)
        assert str(lease.default6) == one.pod.layout.router
        assert one.container.status()["guard"] == ("on" if "NET_ADMIN" in capabilities else "off")
        peak = int(one.container.memory("memory.max_usage_in_bytes", "memory.peak"))
        record_property("Info after seconds", round(one.seconds, 2))
        record_property("memory peak", peak)
        assert not one.container.out_of_memory
        assert peak < ENOUGH
        assert one.seconds < READY


def test_only_what_needs_a_capability_holds_one_and_only_as_long(root, tmp_path):
    with running(root, "NET_RAW", "NET_ADMIN") as one:
        one.define("managed")
        lease_of(one, tmp_path)
        parent = privileges(one.container.pid)
        serve = privileges(one.container.child("binding.serve"))
    # The parent keeps as permitted what its children raise.
    assert parent["CapEff"] == parent["CapInh"] == parent["CapAmb"] == 0
    assert serve["CapPrm"] == serve["CapEff"] == serve["CapInh"] == serve["CapAmb"] == 0
    assert serve["NoNewPrivs"] == 1
    assert serve["Seccomp"] == 2, "RuntimeDefault, which the admission policy asks for"


def test_an_operator_looks_inside_by_exec(root, tmp_path):
    with running(root, "NET_RAW", "NET_ADMIN") as one:
        one.define("managed")
        with one.container.start("dsbridge", "capture") as capture:
            magic = capture.stdout.read(4)
            lease_of(one, tmp_path)
            capture.terminate()
            captured = capture.stdout.read()
        assert magic == bytes.fromhex("0a0d0d0a"), "pcapng"
        assert one.pod.layout.ipv4[0].ip.packed in captured
        told = "the guest has been given 10.244.1.5/24 by DHCPv4"
        until(lambda: told in one.container.exec("dsbridge", "diagnose", check=False), told)


def test_a_killed_serve_has_a_successor_that_answers_without_privilege(root, tmp_path):
    with running(root, "NET_RAW") as one:
        one.define("managed")
        before = one.container.child("binding.serve")
        os.kill(before, signal.SIGKILL)
        assert lease_of(one, tmp_path).ipv4 == one.pod.layout.ipv4
        assert one.container.child("binding.serve") != before


@pytest.mark.parametrize(
    ("shape", "capabilities", "missing"),
    [
        pytest.param("managed", (), "NET_RAW", id="managed without any"),
        pytest.param("own", (), "NET_ADMIN and NET_RAW", id="own without any"),
        pytest.param("own", ("NET_RAW",), "NET_ADMIN", id="own without NET_ADMIN"),
        pytest.param("own", ("NET_RAW", "NET_ADMIN"), "/dev/net/tun", id="own without the device"),
    ],
)
def test_what_was_not_granted_is_refused_with_the_remedy(root, shape, capabilities, missing):
    with running(root, *capabilities) as one:
        before = left_by_the_cni(one.pod)
        with pytest.raises(grpc.RpcError) as refused:
            one.define(shape)
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert f"lacks {missing}" in refused.value.details()
        assert "apply deploy/policy" in refused.value.details()
        if shape == "own":
            assert left_by_the_cni(one.pod) == before
        assert asks_info_again(one.hook) == "dsbridge"
        assert one.container.status()["guests"] == []
