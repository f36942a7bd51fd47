"""`python -m binding`: the sidecar, and what an operator asks of a running one."""

from __future__ import annotations

import os
import sys

from binding.process import lean  # noqa: F401  # before what imports dataclasses

# isort: split
from binding.process import hooks_directory, logs

_WITH_VALUE = ("--hooks-dir", "--plugin-dir", "--log-level")


def main() -> int:
    """Run the sidecar until the VM ends, or one command. Returns the exit status."""
    given = _for_sidecar(sys.argv[1:])
    if given is None:
        from binding.process import oom  # noqa: PLC0415  # the sidecar does without

        oom.choose_me(oom.COMMAND)  # before the other imports take memory
        from binding.operator import commands  # noqa: PLC0415  # the sidecar does without

        return commands.main(sys.argv[1:])
    if "--log-level" in given:
        os.environ["DSBRIDGE_LOG"] = given["--log-level"]  # for our other programs, too
    logs.to_stderr()
    from binding.sidecar import start  # noqa: PLC0415  # the commands do without

    directory, structured = hooks_directory.chosen(
        given.get("--hooks-dir"), given.get("--plugin-dir")
    )
    return start.run(directory, structured=structured)


def _for_sidecar(words: list[str]) -> dict[str, str] | None:
    """Return the options of the sidecar, None where argparse has to look at the command line.

    argparse, like getopt, costs 0.6 MiB of every VM.
    """
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, has_value, value = word.partition("=")
        if name not in _WITH_VALUE:
            return None
        given[name] = value if has_value else next(rest, "")
    level = given.get("--log-level", "info")
    return given if level in logs.LEVELS and all(given.values()) else None


if __name__ == "__main__":
    sys.exit(main())
