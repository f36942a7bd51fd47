"""What the documents quote is what the code says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from binding.discover import annotation

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TROUBLESHOOTING = (ROOT / "docs/troubleshooting.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()


def said():
    """Return every piece of text in binding/, dhcp/ and ra/, implicit concatenations joined."""
    for path in (
        path for room in ("binding", "dhcp", "ra") for path in (ROOT / room).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                parts = node.values
                yield "".join(one.value if isinstance(one, ast.Constant) else "\0" for one in parts)


SAID = "\n".join(said())


def messages_of_troubleshooting():
    for heading in re.findall(r"^### (.+)$", TROUBLESHOOTING, re.MULTILINE):
        if not heading.startswith("KubeVirt:"):
            yield from re.findall(r"`([^`]+)`", heading)
    yield from re.findall(r"^\* `([^`]+)`", TROUBLESHOOTING, re.MULTILINE)


@pytest.mark.parametrize("message", sorted(messages_of_troubleshooting()))
def test_a_message_in_troubleshooting_is_one_that_the_sidecar_has(message):
    fragments = [one.strip() for one in re.split("…", message)]
    missing = [one for one in fragments if one not in SAID]
    assert not missing


def test_every_key_is_described_and_no_other():
    described = re.findall(r"^\| `(\w+)` \|.*\|.*\| `", CONFIGURATION, re.MULTILINE)
    keys = re.findall(r"Keys: (.*)$", refused('{"?": 1}'))[0].split(", ")
    assert sorted(described) == sorted(keys)


def refused(text):
    try:
        annotation.parse(text, "annotation dsbridge.io/default")
    except annotation.OverrideError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("key", "text"),
    re.findall(r"^\| `([a-z]\w+)` \|.*\| `(.+)` \|$", CONFIGURATION, re.MULTILINE),
)
def test_the_error_of_a_key_is_the_one_described(key, text):
    errors = [refused(f'{{"{key}": {value}}}') for value in ('{"?": 1}', '"?"')]
    assert any(error.endswith(f"is not allowed; {text}") for error in errors)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_file_that_a_command_reads_is_there_and_names_no_image_of_nobody(page):
    """kustomize puts the administrator's image in; what a file is read for alone has none."""
    for name in re.findall(r"(?:--patch-file|-f) (deploy/\S+\.yaml)", page.read_text()):
        assert "REGISTRY/" not in (ROOT / name).read_text(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_relative_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]
            assert anchor in anchors, link


def test_the_vm_of_the_installation_is_the_example():
    text = (ROOT / "docs/install.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (vm,) = [one for one in map(yaml.safe_load, blocks) if one.get("kind") == "VirtualMachine"]
    assert vm == yaml.safe_load((ROOT / "deploy/examples/vm-pod-network.yaml").read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_yaml_example_parses(page):
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        assert yaml.safe_load(block)


@pytest.mark.parametrize(
    ("page", "folders"),
    [("docs/concepts.md", ("", "binding/")), ("tests/README.md", ("tests/", "tests/bed/"))],
)
def test_each_file_that_a_map_names_is_there(page, folders):
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / page).read_text()))
    assert named
    assert {one for one in named if not any((ROOT / at / one).exists() for at in folders)} == set()


def test_each_module_that_the_map_of_rooms_names_is_in_its_room():
    rows = re.findall(
        r"^\| (`[^|]+/`) \| (.*) \|$", (ROOT / "docs/concepts.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 10
    for rooms, words in rows:
        folders = [ROOT / room for room in re.findall(r"`([\w/]+/)`", rooms)]
        for module in re.findall(r"`([a-z_0-9*]+)`", words):
            assert any(list(at.glob(f"{module}.py")) for at in folders), f"{module} in {rooms}"


def test_each_test_that_its_map_names_is_there():
    named = set(re.findall(r"`(test_\w+\*?)`", (ROOT / "tests/README.md").read_text()))
    assert named
    assert {one for one in named if not list((ROOT / "tests").rglob(f"{one}.py"))} == set()
