"""Copy into an empty root what the image runs: interpreter, modules and libraries, no more.

Runs in the build stage, by the application's interpreter: image_root.py ROOT. Modules are those
that the programs have loaded once everything of ours is imported, and the standard library's that
those name in an import anywhere, so that an import inside a function finds its module, too.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

APP = Path("/app")
STDLIB = Path(os.__file__).parent
SITE = APP / f".venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
INTERPRETER = APP / ".venv/bin/python"
OURS = ("guest", "dhcp", "ra", "binding")
# Each imports all modules below a package in a process of its own, the program's entry first:
# what one program keeps out of its process another may need.
LOADED = """
import importlib, json, pkgutil, sys
sys.path[0] = "/app"
top = sys.argv[1]
path = importlib.import_module(top).__path__
found = [one.name for one in pkgutil.walk_packages(path, top + ".")]
found.sort(key=lambda name: (name != top + ".__main__", name))
for name in found:
    importlib.import_module(name)
files = {name: getattr(one, "__file__", None) for name, one in sys.modules.items()}
print(json.dumps(files))
"""
# Named in imports of the modules above, never run here: consoles, debuggers, tests, servers.
NEVER = frozenset({
    "_pyrepl", "code", "codeop", "curses", "dbm", "distutils", "doctest",
    "email", "ensurepip", "ftplib", "http", "idlelib", "lib2to3", "multiprocessing", "pdb", "pydoc",
    "readline", "rlcompleter", "smtplib", "sqlite3", "test", "tkinter", "turtle", "unittest",
    "venv", "webbrowser", "xml", "xmlrpc",
})  # fmt: skip
# Our programs keep them out of their processes (process/lean.py, serve/lean_scapy.py); a
# library that is imported here without those loads them.
KEPT_OUT = frozenset({
    "_hashlib", "_ssl", "scapy.libs.bluetoothids", "scapy.libs.manuf", "ssl",
})  # fmt: skip
# Found by their name at run time: codecs, and what prints a traceback.
BY_NAME = (
    "encodings.ascii", "encodings.idna", "encodings.latin_1", "encodings.punycode",
    "encodings.raw_unicode_escape", "encodings.unicode_escape", "encodings.utf_16",
    "encodings.utf_32", "encodings.utf_8_sig", "traceback",
)  # fmt: skip
# What a runtime mounts something on: a read-only root has to have it.
MOUNTED = ("dev", "etc", "proc", "run/kubevirt-hooks", "run/kubevirt-plugin", "sys", "tmp")
# glibc opens it by name when a thread ends.
LIBGCC = "libgcc_s.so.1"


def loaded() -> dict[str, Path]:
    """Return the file of each module that is there once our programs have imported everything."""
    tops = [*OURS, *(f"binding.{one.name}" for one in (APP / "binding").iterdir() if one.is_dir())]
    found: dict[str, Path] = {}
    for top in tops:
        if top == "binding" or not importable(top):
            continue
        done = subprocess.run(
            [INTERPRETER, "-c", LOADED, top], cwd=APP, check=True, stdout=subprocess.PIPE
        )
        files = json.loads(done.stdout).items()
        found |= {name: Path(file) for name, file in files if file and name not in KEPT_OUT}
    return found


def importable(name: str) -> bool:
    """Say whether this is one of our packages, not a directory of bytecode."""
    return (APP / name.replace(".", "/") / "__init__.py").exists()


def standard(found: dict[str, Path]) -> dict[str, Path]:
    """Return the modules of the standard library among these and those that they name."""
    known = {name: path for name, path in found.items() if path.is_relative_to(STDLIB)}
    todo = [*found.items(), *((name, file(name)) for name in BY_NAME)]
    while todo:
        name, path = todo.pop()
        if path is None:
            continue
        if path.is_relative_to(STDLIB):
            known[name] = path
        for other in named(name, path):
            parts = other.split(".")
            if parts[0] not in sys.stdlib_module_names or parts[0] in NEVER | KEPT_OUT:
                continue
            for length in range(1, len(parts) + 1):
                one = ".".join(parts[:length])
                if one not in known and (found_at := file(one)):
                    known[one] = found_at
                    todo.append((one, found_at))
    return known


def file(name: str) -> Path | None:
    """Return the file of a module of the standard library; None where it has none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    path = Path(spec.origin) if spec and spec.has_location and spec.origin else None
    return path if path and path.is_relative_to(STDLIB) else None


def named(name: str, path: Path) -> Iterator[str]:
    """Yield the modules that a module's source imports, inside functions, too."""
    if path.suffix != ".py":
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join((*(parents if node.level else ()), *filter(None, [node.module])))
            yield base
            yield from (f"{base}.{one.name}" for one in node.names)


def libraries(programs: Iterable[Path]) -> Iterator[Path]:
    """Yield the shared libraries that these load, by the names under which they are looked for."""
    done = subprocess.run(["ldd", *programs], check=False, text=True, capture_output=True)
    paths = set(re.findall(r"(/\S+) \(0x", done.stdout))
    libc = next(Path(one) for one in paths if Path(one).name.startswith("libc.so."))
    yield from {*map(Path, paths), libc.with_name(LIBGCC)}


def copy(source: Path, root: Path) -> None:
    """Copy a file to its own place below root, parents' symlinks followed."""
    target = root / (source.parent.resolve() / source.name).relative_to("/")
    if os.path.lexists(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
        copy(source.parent / source.readlink(), root)
        return
    shutil.copyfile(source, target)
    runs = source.parent.name == "bin" or source.name.startswith("ld-linux")
    target.chmod(0o755 if runs else 0o644)


def distributions(found: dict[str, Path], root: Path) -> None:
    """Copy the metadata and licences of the libraries whose modules are there."""
    tops = {path.relative_to(SITE).parts[0] for path in found.values() if path.is_relative_to(SITE)}
    for info in SITE.glob("*.dist-info"):
        record = (info / "RECORD").read_text().splitlines()
        if not {line.partition(",")[0].split("/")[0] for line in record} & tops:
            continue
        for one in info.rglob("*"):
            if one.is_file() and (one.name == "METADATA" or "LICENSE" in one.name):
                copy(one, root)


def main() -> None:
    """Fill the root that the command line names."""
    root = Path(sys.argv[1])
    for place in (*MOUNTED, "usr/lib", "usr/lib64", "var"):
        (root / place).mkdir(parents=True)
    for name in ("hostname", "hosts", "resolv.conf"):
        (root / "etc" / name).touch()
    (root / "lib").symlink_to("usr/lib")
    (root / "lib64").symlink_to("usr/lib64")
    (root / "var/run").symlink_to("/run")
    (root / "etc/passwd").write_text("root:x:0:0::/:\ndsbridge:x:107:107::/:\n")
    (root / "etc/group").write_text("root:x:0:\ndsbridge:x:107:\n")
    copy(Path("/etc/os-release"), root)
    found = loaded()
    site = {name: path for name, path in found.items() if path.is_relative_to(SITE)}
    files = {*standard(found).values(), *site.values(), SITE / "scapy/VERSION"}
    for path in files:
        copy(path, root)
    distributions(found, root)
    for name in OURS:
        for path in (APP / name).rglob("*.py"):
            copy(path, root)
    for name in ("LICENSE", "NOTICE", ".venv/pyvenv.cfg", ".venv/bin/python", ".venv/bin/dsbridge"):
        copy(APP / name, root)
    binaries = [path for path in files if path.suffix == ".so"]
    for path in libraries([INTERPRETER, *binaries]):
        copy(path, root)


if __name__ == "__main__":
    main()
