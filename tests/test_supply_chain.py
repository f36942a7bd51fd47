"""What is shipped: every file by its hash, every package under a licence that fits its program."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LICENCES = {
    "lxml": "BSD-3-Clause",
    "pyroute2": "GPL-2.0-or-later OR Apache-2.0",
    "scapy": "GPL-2.0-only",
    "win-inet-pton": "of Windows only: never installed",
}
"""Of what the image has. GPL-2.0-only is in `serve` alone, where the project's own code is under
GPL-2.0-or-later."""


def locked() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}


def shipped() -> set[str]:
    """Return the packages that `dependencies` leads to."""
    packages, found = locked(), set[str]()
    wanted = ["dsbridge"]
    while wanted:
        name = wanted.pop()
        for one in packages[name].get("dependencies", ()):
            if one["name"] not in found:
                found.add(one["name"])
                wanted.append(one["name"])
    return found


def test_every_file_that_is_installed_is_known_by_its_hash() -> None:
    for name, one in locked().items():
        if name == "dsbridge":
            continue
        files = [*one.get("wheels", ()), *([one["sdist"]] if "sdist" in one else [])]
        assert files, name
        assert all(file["hash"].startswith("sha256:") for file in files), name


def test_every_shipped_package_has_a_licence_that_was_looked_at() -> None:
    assert shipped() == LICENCES.keys()
    for name in ("lxml", "pyroute2", "scapy"):
        about = metadata.metadata(name)
        said = " ".join([*about.get_all("License", []), *about.get_all("License-Expression", [])])
        said += " ".join(
            one for one in about.get_all("Classifier", []) if one.startswith("License")
        )
        words = {"lxml": "BSD", "pyroute2": "Apache", "scapy": "GPL"}[name]
        assert words in said, (name, said)
