"""Write the bytecode of every module below a root: bytecode.py ROOT.

A VM's start waits for the imports, and a read-only root keeps no bytecode. Its hashes are not
checked, because layers may come with other times than the bytecode was made for. Libraries lose
their docstrings, which are 0.6 to 0.9 MiB of each process; asserts stay, as libraries rely on them.
"""

from __future__ import annotations

import ast
import importlib.util
import marshal
import sys
from pathlib import Path

UNCHECKED_HASH = (0b01).to_bytes(4, "little")  # PEP 552
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def bytecode(path: Path, place: str, *, documented: bool) -> bytes:
    """Return the content of a .pyc for a module that will lie at this place."""
    source = path.read_bytes()
    tree = ast.parse(source)
    if not documented:
        for node in ast.walk(tree):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                node.body[:1] = (
                    [] if node.body[1:] else [ast.copy_location(ast.Pass(), node.body[0])]
                )
    code = compile(tree, place, "exec", dont_inherit=True, optimize=0)
    head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(source)
    return head + marshal.dumps(code)


def main() -> None:
    """Compile what lies below the root that the command line names."""
    root = Path(sys.argv[1])
    for path in sorted(root.rglob("*.py")):
        place = f"/{path.relative_to(root)}"
        # binding.__main__ shows its own docstring as help.
        ours = path.is_relative_to(root / "app") and ".venv" not in path.parts
        target = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(bytecode(path, place, documented=ours))


if __name__ == "__main__":
    main()
