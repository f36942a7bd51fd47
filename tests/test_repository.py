"""What must hold of the tree itself: generated code, layers, versions, names."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from binding.version import VERSION

ROOT = Path(__file__).parents[1]
OURS = {"guest", "binding", "dhcp", "ra", "proto", "tests"}


def test_generated_code_is_what_the_proto_files_give(tmp_path):
    """Stale? `make proto`."""
    # Without `setup`, which would install again whatever a change to pyproject.toml asks for.
    words = ["make", "-s", "-o", "setup", "proto", f"PROTO_OUT={tmp_path}"]
    subprocess.run(words, cwd=ROOT, check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "proto").iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / "proto").glob("*_pb2*")}
    assert made == committed


def test_the_version_is_the_same_in_both_places():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_every_file_is_in_a_room():
    """A program's package or one that programs share; nothing lies beside them."""
    loose = {path.stem for path in (ROOT / "binding").glob("*.py")}
    assert loose == {"__init__", "__main__", "version"}
    programs, shared = {"sidecar", "hooks", "serve", "plumb", "operator"}, {"discover", "ipc"}
    rooms = programs | shared | {"packet", "process"}
    found = {p.name for p in (ROOT / "binding").iterdir() if p.is_dir() and p.name[0] != "_"}
    assert found == rooms
    code = [
        path for top in ("guest", "binding", "dhcp", "ra") for path in (ROOT / top).rglob("*.py")
    ]
    assert {path.parent.relative_to(ROOT).as_posix() for path in code} == (
        {"guest", "binding", "dhcp", "ra"} | {f"binding/{room}" for room in rooms}
    )


def test_each_test_in_namespaces_is_on_the_map_of_tests():
    """Missing? Name the file in the table of tests/README.md, beside what it shows."""
    named = re.findall(r"`(test_\w+\*?)`", (ROOT / "tests/README.md").read_text())
    there = (ROOT / "tests/netns").glob("test_*.py")
    assert {
        path.stem for path in there if not any(path.match(f"{one}.py") for one in named)
    } == set()


def written():
    """Yield each file of Python that a person wrote, with its text."""
    for top in ("guest", "binding", "dhcp", "ra", "bench", "tests", ".ci"):
        for path in (ROOT / top).rglob("*.py"):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def test_no_file_has_more_than_300_lines():
    sizes = {name: text.count("\n") for name, text in written()}
    assert sizes
    assert {name: size for name, size in sizes.items() if size > 300} == {}


def test_no_class_has_more_than_200_lines():
    sizes = {
        f"{name}: {node.name}": node.end_lineno - node.lineno + 1
        for name, text in written()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
    }
    assert sizes
    assert {name: size for name, size in sizes.items() if size > 200} == {}


def test_a_class_name_means_one_thing():
    """Of the product: two classes of one name would be two things called by one word."""
    places = defaultdict(set)
    for name, text in written():
        if name.partition("/")[0] in ("guest", "binding", "dhcp", "ra"):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ClassDef):
                    places[node.name].add(name)
    assert places
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_dependency_brings_a_package_of_our_name():
    assert not OURS & set(importlib.metadata.packages_distributions())


def printed(code):
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return run.stdout.strip()


@pytest.mark.parametrize(
    ("module", "never"),
    [
        (
            "binding.__main__, binding.sidecar.start",
            {"asyncio", "grpc", "google", "lxml", "scapy", "pyroute2", "dhcp", "ra"}
            | {"argparse", "pathlib", "datetime", "subprocess"},
        ),
        (
            "binding.hooks.__main__",
            {"scapy", "pyroute2", "dhcp", "ra", "asyncio", "grpc", "google", "lxml", "proto"},
        ),
        (
            "binding.hooks.__main__, binding.hooks.define_domain",
            {"scapy", "pyroute2", "dhcp", "ra", "asyncio", "grpc", "google", "proto"},
        ),
        ("binding.serve.__main__", {"grpc", "lxml", "pyroute2", "asyncio", "scapy", "dhcp", "ra"}),
        (
            "binding.serve.__main__, binding.serve.lean_scapy, binding.serve.loop",
            {"grpc", "google", "lxml", "pyroute2", "asyncio"},
        ),
        (
            "binding.plumb.__main__, binding.plumb.actions",
            {"grpc", "scapy", "lxml", "argparse", "pyroute2", "asyncio"},
        ),
        (
            "binding.plumb.__main__, binding.plumb.wire",
            {"grpc", "scapy", "lxml", "_ssl", "unittest", "multiprocessing"},
        ),
        ("binding.operator.commands", {"grpc", "scapy", "lxml", "pyroute2", "asyncio"}),
    ],
)
def test_each_process_imports_only_what_its_job_needs(module, never):
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    assert not never & set(printed(code).split())


@pytest.mark.parametrize(
    "module",
    [
        *("sidecar.start", "hooks.program", "hooks.define_domain", "plumb.actions", "plumb.wire"),
        *(
            "serve.early_ports",
            "serve.lean_scapy, binding.serve.loop",
            "operator.diagnose",
            "operator.gather",
        ),
    ],
)
def test_no_program_executes_what_only_a_dataclass_without_a_docstring_asks_for(module):
    """It would be inspect, ast and dis: 1.2 MiB and 10 ms of CPU of every start."""
    code = f"import sys, binding.process.lean, binding.{module}; print(*sys.modules)"
    assert "dis" not in printed(code).split()


def test_the_sidecar_compiles_no_annotation():
    """The first compile() makes the types of ast: 0.3 MiB that stay for the life of the VM."""
    code = """
import sys, binding.process.lean
def tell(event, said):
    if event == "compile" and sys._getframe(1).f_globals["__name__"] == "typing":
        print("compiled", said[0])
sys.addaudithook(tell)
import binding.sidecar.start
from binding.ipc import channel, codec, snapshot
from binding.sidecar import desired
for kind in (*channel._KINDS.values(), snapshot.Snapshot, desired.Saved):
    codec._hints(kind)
"""
    assert not printed(code)


def test_scapy_does_not_look_at_the_links_of_the_pod():
    """It would take time and memory for each, and a pod may have dozens."""
    code = "import binding.serve.lean_scapy; from scapy.config import conf; print(len(conf.ifaces))"
    assert printed(code) == "0"


def test_scapy_is_never_imported_whole():
    code = "import sys, binding.serve.lean_scapy, binding.serve.loop; print(*sys.modules)"
    assert "scapy.all" not in printed(code).split()


@pytest.mark.netns
@pytest.mark.parametrize("place", ["/opt/share/wireshark", "/opt/wireshark/share/wireshark"])
def test_scapys_table_of_vendors_is_never_loaded_wherever_it_lies(place):
    """On a machine with wireshark it would be 16 MiB of each VM's memory."""
    prepare = (
        f"mount -t tmpfs tmpfs /opt && mkdir -p {place} &&"
        f" echo '00:00:0C Cisco Cisco_Systems' > {place}/manuf && exec \"$@\""
    )
    code = (
        "import binding.serve.lean_scapy, os\n"
        "from scapy.data import MANUFDB\n"
        f"print(len(MANUFDB), os.path.exists('{place}/manuf'))"
    )
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", prepare, "sh", sys.executable, "-c", code],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert run.stdout.split() == ["0", "True"]
