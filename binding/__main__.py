"""`python -m binding`: the sidecar, and what an operator asks of a running one."""

from __future__ import annotations

import os
import sys

from binding.process import lean  # noqa: F401  # before what imports dataclasses

# isort: split
from binding.process import hooks_directory

_WITH_VALUE = ("--hooks-dir", "--plugin-dir", "--log-level")
_HELP = {"-h", "--help", "--version"}


def main() -> int:
    """Run the sidecar until the VM ends, or one command. Returns the exit status."""
    given, others = _split(sys.argv[1:])
    directory, structured = hooks_directory.chosen(
        given.get("--hooks-dir"), given.get("--plugin-dir")
    )
    if not others and all(given.values()):
        from binding.process import logs  # noqa: PLC0415  # a command waits for its turn without

        if given.get("--log-level", "info") in logs.LEVELS:
            if "--log-level" in given:
                os.environ["DSBRIDGE_LOG"] = given["--log-level"]  # for our other programs, too
            logs.to_stderr()
            from binding.sidecar import start  # noqa: PLC0415  # the commands do without

            return start.run(directory, structured=structured)
    from binding.process import oom  # noqa: PLC0415  # the sidecar does without

    # Before the imports that take memory: five commands that start at once must not cost a `serve`.
    oom.choose_me(oom.COMMAND)
    if not _HELP.intersection(others):
        from binding.operator import slots  # noqa: PLC0415  # only what may be killed first waits

        slots.wait(directory)
    from binding.operator import commands  # noqa: PLC0415  # takes memory: in its turn only

    return commands.main(sys.argv[1:])


def _split(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the options of the sidecar, and all other words: those of a command, if any.

    argparse, like getopt, costs 0.6 MiB of every VM.
    """
    given: dict[str, str] = {}
    others = []
    rest = iter(words)
    for word in rest:
        name, has_value, value = word.partition("=")
        if name in _WITH_VALUE:
            given[name] = value if has_value else next(rest, "")
        else:
            others.append(word)
    return given, others


if __name__ == "__main__":
    sys.exit(main())
