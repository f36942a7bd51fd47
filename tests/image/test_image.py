"""What is in the image, what is not, and where it is from."""

from __future__ import annotations

import ast
import json
import platform
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from binding.version import VERSION
from tests.image.runtime import STORE, Root

pytestmark = pytest.mark.image

UNPACKED, COMPRESSED = 100_000_000, 40_000_000
"""Bytes."""
ROOT = Path(__file__).parents[2]
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
PROGRAMS = (
    *("binding.__main__", "binding.sidecar.start", "binding.hooks.__main__"),
    *("binding.operator.commands", "binding.operator.capture"),
    *("binding.plumb.wire", "binding.serve.__main__"),
)
KEPT_OUT = {"ssl"}
IN_APP = "import sys, os; os.chdir('/app'); sys.path[0] = '/app'\n"


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
    assert not (site / "scapy/libs/manuf.py").exists()
    assert not list(site.glob("pip*"))
    (stdlib,) = root.path.glob("usr/lib/python3.*")
    there = {path.name for path in stdlib.iterdir()}
    assert not there & {"ensurepip", "idlelib", "pydoc.py", "test", "tkinter", "unittest", "venv"}


def test_neither_tests_nor_tools_are_in_the_image(root):
    assert {path.name for path in (root.path / "app").iterdir()} == {
        *("binding", "dhcp", "guest", "ra"),
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
    assert "libssl3t64" not in names, "nothing here is encrypted"


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
