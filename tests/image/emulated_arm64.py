"""The arm64 image under QEMU's user emulation: it imports, and answers as this machine does.

Not collected by itself: `make test-arm64` builds that image, which takes an hour, and runs this.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from binding.version import VERSION
from tests.image.runtime import IMAGE, Root, unpacked

pytestmark = pytest.mark.timeout(900)
ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests/vectors"
PYTHON = "/app/.venv/bin/python"
IN_APP = "import os, sys; os.chdir('/app'); sys.path[0] = '/app'\n"
IMPORT_ALL = """
import importlib, pkgutil
import binding.serve.lean_scapy
found = pkgutil.walk_packages(importlib.import_module(sys.argv[1]).__path__, sys.argv[1] + ".")
print(*(importlib.import_module(one.name).__name__ for one in found))
"""
ANSWER_ALL = """
import json, sys
from ipaddress import *
import binding.serve.lean_scapy
from binding.serve.responder import Responder
from guest.network import Boot, GuestNetwork, Route

answers = {}
for name, frame, is_partial in json.load(sys.stdin):
    frame = bytes.fromhex(frame)
    guest = GuestNetwork(
        network="default", tap="tap0", mac=frame[6:12].hex(":"), mtu=1450, uid="0" * 32,
        ipv4=(IPv4Interface("10.244.1.5/24"),), ipv6=(IPv6Interface("fd00:10:244:1::5/64"),),
        routes=(
            Route(IPv4Network("0.0.0.0/0"), IPv4Address("10.244.1.1")),
            Route(IPv6Network("::/0"), IPv6Address("fd00:10:244:1::1")),
        ),
        dns=(IPv4Address("10.96.0.10"), IPv6Address("fd00::a")), search=("svc.cluster.local",),
        boot=Boot("a.kpxe", "boot.example", url="http://[fd00::8]/a.efi"),
        delegated=(IPv6Network("fd64:7::/56"),), lease=3600, hostname="vm1",
    )
    output = Responder(guest, 0.0).from_guest(frame, 0.0, partial_checksum=is_partial)
    answers[name] = [one.hex() for one in (*output.tap, *output.nic)]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def root() -> Iterator[Root]:
    with unpacked(f"{IMAGE}-arm64") as mounted:
        yield mounted


def test_the_interpreter_is_of_arm64(root: Root) -> None:
    code = "import platform; print(platform.machine())"
    assert root.run(PYTHON, "-c", code).strip() == "aarch64"


def test_the_command_line_runs(root: Root) -> None:
    assert root.run("/app/.venv/bin/dsbridge", "--version").split()[-1] == VERSION


@pytest.mark.parametrize(
    "package",
    ["guest", "dhcp", "ra", "binding.discover", "binding.ipc", "binding.packet", "binding.process"]
    + [f"binding.{program}" for program in ("sidecar", "hooks", "serve", "plumb", "operator")],
)
def test_every_module_is_imported(root: Root, package: str) -> None:
    there = (root.path / "app" / package.replace(".", "/")).glob("[!_]*.py")
    imported = root.run(PYTHON, "-c", IN_APP + IMPORT_ALL, package).split()
    assert {f"{package}.{path.stem}" for path in there} <= set(imported)


def test_requests_of_real_clients_are_answered_to_the_octet_as_here(root: Root) -> None:
    requests = json.dumps(list(frames()))
    here = subprocess.run(
        [sys.executable, "-c", ANSWER_ALL],
        cwd=ROOT,
        check=True,
        text=True,
        input=requests,
        stdout=subprocess.PIPE,
    ).stdout
    there = root.run(PYTHON, "-c", IN_APP + ANSWER_ALL, given=requests)
    assert json.loads(there) == json.loads(here)
    answered = sum(map(bool, json.loads(here).values()))
    assert answered >= 60, answered


def frames() -> Iterator[tuple[str, str, bool]]:
    """Yield name, octets and whether the checksum is partial of each frame a client sent."""
    for kind in ("v4", "v6", "ra"):
        for path in sorted((VECTORS / kind).glob("*.hex")):
            head, *lines = path.read_text().splitlines()
            is_partial = head.endswith("partial")
            octets = "".join(line for line in lines if not line.startswith("#"))
            yield f"{kind}/{path.stem}", octets, is_partial
