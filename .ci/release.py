"""Check that all that a release has agree on its version: release.py VERSION [--write].

Version, changelog, tag, chart, manifests and image. --write puts the version where it is to be; the
changelog's section is written by hand. Ends with status 1 and one line for each disagreement.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
_V = r"(?P<version>\d+\.\d+\.\d+)"
PLACES = {
    "binding/version.py": rf'^VERSION = "{_V}"$',
    "pyproject.toml": rf'^version = "{_V}"$',
    "uv.lock": rf'^name = "dsbridge"\nversion = "{_V}"$',
    "Dockerfile": rf"^ARG VERSION={_V}$",
    "deploy/chart/Chart.yaml": rf"^(?:version|appVersion): {_V}$",
    "deploy/image/kustomization.yaml": rf"^    newTag: {_V}$",
    "deploy/**/kustomization.yaml": rf"app.kubernetes.io/version: {_V}$",
    "deploy/**/*.yaml": rf"REGISTRY/dsbridge:{_V}",
    "deploy/chart/files/*.yaml": rf"app.kubernetes.io/version: {_V}$",
    "README.md": rf"(?:REGISTRY/dsbridge:|\?ref=v){_V}",
    "docs/*.md": rf"(?:REGISTRY/dsbridge:|/dsbridge:|/dsbridge-|\?ref=v|newTag: ){_V}",
    "deploy/krew.yaml": rf"^  version: v{_V}$",
    "tests/deploy/virt_launcher_pod.yaml": rf"/dsbridge:{_V}",
    "tests/deploy/test_policy.py": rf"/dsbridge:{_V}",
}
NEED_NOT = {"README.md", "docs/*.md"}
"""A page may name no version."""


def disagreements(version: str, *, write: bool) -> Iterator[str]:
    """Yield what names another version, or none where one is due."""
    for places, pattern in PLACES.items():
        found = 0
        for path in sorted(ROOT.glob(places)):
            text = path.read_text()
            made = ""
            last = 0
            for match in re.finditer(pattern, text, re.MULTILINE):
                found += 1
                begin, end = match.span("version")
                made += text[last:begin] + version
                last = end
                if match["version"] != version and not write:
                    line = text.count("\n", 0, begin) + 1
                    yield f"{path.relative_to(ROOT)}:{line}: {match['version']}"
            if write and last:
                path.write_text(made + text[last:])
        if not found and places not in NEED_NOT:
            yield f"{places}: names no version"


def changelog(version: str) -> Iterator[str]:
    """Yield what the changelog lacks."""
    text = (ROOT / "CHANGELOG.md").read_text()
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n"
    section = re.search(heading + r"(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if section is None:
        yield f"CHANGELOG.md: no section ## [{version}] - YEAR-MONTH-DAY"
    elif not section[1].strip():
        yield f"CHANGELOG.md: the section of {version} is empty"


def tag(version: str) -> Iterator[str]:
    """Yield what forbids the tag."""
    head, tagged = _git("rev-parse", "HEAD"), _git("rev-list", "-n1", f"v{version}")
    if tagged and tagged != head:
        yield f"tag v{version}: is at {tagged[:12]}, not at {head[:12]}"
    if _git("status", "--porcelain", "--untracked-files=no"):
        yield "the working tree: has changes that are not committed"


def image(version: str) -> Iterator[str]:
    """Yield what the image and its SBOM say otherwise, if there is one."""
    documents = sorted((ROOT / ".cache/image").glob("dsbridge-*.spdx.json"))
    if f"dsbridge-{version}-" not in " ".join(path.name for path in documents):
        yield f"the image: make image has not built {version}"
    for path in documents:
        if path.name.startswith(f"dsbridge-{version}-"):
            said = json.loads(path.read_text())["packages"][0]["versionInfo"]
            if said != version:
                yield f"{path.name}: {said}"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, text=True, capture_output=True, check=False)
    return done.stdout.strip()


def main() -> int:
    """Print what disagrees; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    version = arguments.version
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        parser.error(f"VERSION={version}: write one such as 0.2.0")
    wrong = [*disagreements(version, write=arguments.write), *changelog(version)]
    if not arguments.write:
        wrong += [*tag(version), *image(version)]
    for line in wrong:
        print(line, file=sys.stderr)  # noqa: T201  # what it is for
    if wrong:
        return 1
    next_step = "make chart, commit" if arguments.write else f"git tag -s v{version}, push it"
    print(f"all agree on {version}; next: {next_step}")  # noqa: T201  # what it is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
