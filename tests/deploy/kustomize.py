"""What `kubectl kustomize` makes of a directory of deploy/, as an administrator's would."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.policy import DEPLOY

Json = Any
DIRECTORIES = sorted(
    path.parent.relative_to(DEPLOY).as_posix()
    for path in DEPLOY.rglob("kustomization.yaml")
    if path.parent.name != "everywhere"
)


@cache
def text(directory: Path) -> str:
    """Return kustomize's output for a directory."""
    kubectl = shutil.which("kubectl")
    assert kubectl, "make setup installs it"
    return subprocess.run(
        [kubectl, "kustomize", str(directory)], check=True, capture_output=True, text=True
    ).stdout


def built(name: str) -> list[Json]:
    """Return the objects of a directory of deploy/."""
    return [one for one in yaml.safe_load_all(text(DEPLOY / name)) if one]


def of_kind(objects: list[Json], kind: str) -> Json:
    """Return the one object of a kind."""
    (found,) = [one for one in objects if one["kind"] == kind]
    return found
