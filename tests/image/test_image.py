"""The image itself in runc, with exactly what KubeVirt and the admission policy give it."""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Interface
from pathlib import Path

import grpc
import pytest
from lxml import etree

from binding.version import VERSION
from proto import info_pb2, info_pb2_grpc
from tests.bed.cable import cable
from tests.bed.clients import Lease, client
from tests.bed.handler import managed_tap
from tests.bed.launcher import Hook, collect
from tests.bed.pod import Pod, pod
from tests.bed.wait import until
from tests.image.runtime import STORE, Container, Root, started, unpacked
from tests.samples import vmi_json

pytestmark = pytest.mark.image

ENOUGH = 56_000_000
"""Bytes at the most, with the image's files in the node's cache already: of 64,000,000."""
READY = 6.0
"""Seconds from the container's start to Info's answer, with 0.2 CPU, on a busy machine, too."""
UNPACKED, COMPRESSED = 100_000_000, 40_000_000
"""Bytes."""
ROOT = Path(__file__).parents[2]
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
PROGRAMS = (
    *("binding.__main__", "binding.sidecar.start", "binding.hooks.__main__"),
    *("binding.operator.commands", "binding.operator.capture"),
    *("binding.plumb.snapshot", "binding.plumb.wire", "binding.serve.__main__"),
)
KEPT_OUT = {"ssl"}
IN_APP = "import sys, os; os.chdir('/app'); sys.path[0] = '/app'\n"
_DOMAIN = """<domain type="kvm"><name>default_vm1</name><devices>{}
<controller type="usb" index="0" model="none"/></devices></domain>"""
_INTERFACE = """<interface type="ethernet"><source/><target dev="tap0" managed="no"/>
<model type="virtio-non-transitional"/><mac address="{mac}"/><mtu size="{mtu}"/>
<alias name="ua-default"/><rom enabled="no"/></interface>"""


@dataclass(frozen=True, slots=True)
class Running:
    """The container in its pod, after virt-launcher has found it."""

    pod: Pod
    container: Container
    hook: Hook
    seconds: float
    """From runc's start to Info's answer."""

    def define(self, shape: str) -> None:
        """Do what KubeVirt does between Info and the start of the guest."""
        interface = ""
        if shape == "managed":
            managed_tap(self.pod.netns)
            interface = _INTERFACE.format(mac=self.pod.layout.mac, mtu=self.pod.layout.mtu)
        domain = etree.fromstring(self.hook.define(_DOMAIN.format(interface), vmi_json()))
        assert domain.find("devices/interface/target").get("dev") == "tap0"


@contextmanager
def running(root: Root, *capabilities: str, tun: bool = False) -> Iterator[Running]:
    with pod("flat") as made:
        begun = time.monotonic()
        with (
            started(root, made, capabilities, tun=tun) as container,
            collect(container.hooks_dir) as hook,
        ):
            yield Running(made, container, hook, time.monotonic() - begun)


@pytest.fixture(scope="module")
def root() -> Iterator[Root]:
    with unpacked() as mounted:
        yield mounted


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


def lease_of(one: Running, tmp_path: Path) -> Lease:
    with (
        cable(one.pod.netns, mac=one.pod.layout.mac, mtu=one.pod.layout.mtu) as guest,
        client("dhclient", guest, tmp_path) as asking,
    ):
        return asking.lease(30, dns=())


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
        assert magic == bytes.fromhex("4d3cb2a1")
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


def test_the_interpreter_is_permitted_two_capabilities_and_nothing_else_has_any(root):
    found = subprocess.run(["getcap", "-r", root.path], check=True, text=True, capture_output=True)
    assert found.stdout.splitlines() == [
        f"{root.path}/app/.venv/bin/python cap_net_admin,cap_net_raw=p"
    ]
    assert root.config["Entrypoint"][0] == "/app/.venv/bin/python"
    assert root.config["User"] == "107:107"


def test_the_interpreter_is_the_only_program(root):
    """No shell, no package manager: what else may be executed is the loader of libraries."""
    programs = {
        path.relative_to(root.path).as_posix()
        for path in files(root)
        if path.stat().st_mode & 0o111 and not path.name.startswith("ld-linux")
    }
    assert programs == {"app/.venv/bin/python", "app/.venv/bin/dsbridge"}


def test_nothing_is_setuid_or_writable_by_its_user(root):
    assert not [path for path in files(root) if path.stat().st_mode & 0o6022 or path.stat().st_uid]


def test_the_image_is_small(root):
    unpacked = sum(path.stat().st_size for path in files(root))
    assert unpacked <= UNPACKED
    assert archive().stat().st_size <= COMPRESSED


def test_only_what_is_imported_of_the_libraries_is_there(root):
    (site,) = root.path.glob("app/.venv/lib/python*/site-packages")
    assert {path.name for path in (site / "lxml").glob("*.so")} == {
        path.name
        for module in ("etree", "_elementpath")
        for path in (site / "lxml").glob(f"{module}.*.so")
    }
    assert not (site / "scapy/contrib").exists()
    assert not (site / "scapy/all.py").exists()
    assert not list(site.glob("pip*"))
    (stdlib,) = root.path.glob("usr/lib/python3.*")
    there = {path.name for path in stdlib.iterdir()}
    assert not there & {"ensurepip", "idlelib", "pydoc.py", "test", "tkinter", "unittest", "venv"}


def test_neither_tests_nor_tools_are_in_the_image(root):
    assert {path.name for path in (root.path / "app").iterdir()} == {
        *("binding", "dhcp", "guest", "ra", "proto"),
        *(".venv", "LICENSE", "NOTICE", "sbom.spdx.json"),
    }


def test_every_module_that_runs_has_bytecode(root):
    for entry in PROGRAMS:
        code = (
            f"import {entry}\n"
            "paths = [getattr(m, '__cached__', None) for m in list(sys.modules.values())]\n"
            "print(*(path for path in paths if path and not os.path.exists(path)))\n"
        )
        assert root.run("/app/.venv/bin/python", "-B", "-c", IN_APP + code).split() == []


def test_an_import_inside_a_function_finds_its_module(root):
    """What ours name anywhere is there, but for what they keep out of their processes."""
    app = (root.path / "app").glob("[!.]*/**/*.py")
    names = {name.partition(".")[0] for path in app for name in imported(path)} - KEPT_OUT
    code = f"print(*(n for n in {sorted(names)} if importlib.util.find_spec(n) is None))"
    code = IN_APP + "import importlib.util\n" + code
    assert root.run("/app/.venv/bin/python", "-c", code).split() == []


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_the_sbom_names_every_package_with_its_licence(root):
    sbom = json.loads((root.path / "app/sbom.spdx.json").read_text())
    packages = {one["SPDXID"]: one for one in sbom["packages"]}
    contained = {
        one["relatedSpdxElement"]
        for one in sbom["relationships"]
        if one["relationshipType"] == "CONTAINS"
    }
    assert contained == packages.keys() - {"SPDXRef-image-dsbridge"}
    found = {(one["name"].lower(), one["versionInfo"]) for one in packages.values()}
    for info in root.path.glob("app/.venv/lib/python*/site-packages/*.dist-info"):
        name, version = info.name.removesuffix(".dist-info").split("-")
        assert (name, version) in found
        of_it = packages[f"SPDXRef-pypi-{name.replace('_', '-')}"]
        assert of_it["licenseDeclared"] != "NOASSERTION"
    for status in (root.path / "var/lib/dpkg/status.d").iterdir():
        (version,) = re.findall(r"^Version: (.+)$", status.read_text(), re.MULTILINE)
        assert (status.name, version) in found
        assert (root.path / f"usr/share/doc/{status.name}/copyright").stat().st_size
    beside = archive().with_suffix(".spdx.json")
    assert json.loads(beside.read_text()) == sbom


def test_every_library_belongs_to_a_package_of_the_sbom(root):
    """As Debian's status, too, by which scanners find what they should warn of."""
    names = {path.name for path in (root.path / "var/lib/dpkg/status.d").iterdir()}
    assert {"libc6", "libpython3.13-stdlib", "python3.13-minimal", "zlib1g"} <= names


def test_the_labels_say_where_it_is_from(root):
    labels = {
        key.removeprefix("org.opencontainers.image."): value
        for key, value in root.config["Labels"].items()
    }
    assert labels["source"].startswith("https://")
    assert labels["documentation"].startswith(labels["source"])
    assert "GPL-2.0-only" in labels["licenses"]
    assert labels["version"] == VERSION
    assert "Written offer" in (root.path / "app/NOTICE").read_text()


@pytest.mark.timeout(900)
def test_built_again_it_is_the_same_to_the_byte(tmp_path):
    """From nothing, base included."""
    try:
        subprocess.run([ROOT / ".ci/image", tmp_path], check=True, stdout=subprocess.DEVNULL)
    finally:
        subprocess.run(["umount", "--recursive", tmp_path / "store/overlay"], check=False)
    (again,) = tmp_path.glob("dsbridge-*.tar")
    assert manifest(again) == manifest(archive())


def manifest(path: Path) -> str:
    with tarfile.open(path) as opened:
        index = json.load(opened.extractfile("index.json"))
    return index["manifests"][0]["digest"]


def archive() -> Path:
    (found,) = STORE.glob(f"dsbridge-{VERSION}-{ARCHITECTURE}.tar")
    return found


def files(root: Root) -> list[Path]:
    return [path for path in root.path.rglob("*") if path.is_file() and not path.is_symlink()]
