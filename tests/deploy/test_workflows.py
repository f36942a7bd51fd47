"""What runs with the repository's rights runs no code that may change under its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yaml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_rights_are_given_by_the_job(path):
    text = path.read_text()
    for used in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", used), used
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())


def test_every_job_of_the_matrix_is_a_make_target():
    (ci,) = [yaml.safe_load(path.read_text()) for path in WORKFLOWS if path.stem == "ci"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(ci["jobs"]["check"]["strategy"]["matrix"]["target"]) <= set(targets)


def test_the_image_is_built_with_the_version_of_the_code():
    version = re.findall(r'VERSION = "(.+)"', (ROOT / "binding/version.py").read_text())
    given = re.findall(r"^ARG VERSION=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(given) == set(version)
    manifests = "\n".join(path.read_text() for path in (ROOT / "deploy").rglob("*.yaml"))
    assert set(re.findall(r"REGISTRY/dsbridge:([\w.]+)", manifests)) == set(version)
    uv = re.findall(r"UV_VERSION := (.+)", (ROOT / "Makefile").read_text())
    assert re.findall(r"^ARG UV=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE) == uv
