"""Runs binding.plumb, the short-lived child that alone knows netlink."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

APPLICATION = Path(__file__).parents[1]
"""Where `python -m binding…` finds our packages."""
_WITHIN = 15.0
"""Seconds; virt-handler gives the whole of SyncVMI 20."""


class PlumbError(Exception):
    """A step in the pod's network namespace that failed, and was undone."""

    def __init__(self, action: str, step: str, reason: str, privilege: str = "") -> None:
        super().__init__(f"{step}: {reason}")
        self.action = action
        """Of those asked for, the one that failed; those before it were done."""
        self.privilege = privilege
        """The capability or device that is missing, if that is the reason."""


async def plumb(actions: Mapping[str, str]) -> bytes:
    """Run actions, each with its line of input, and return what they printed.

    Raises PlumbError at the first that fails.
    """
    names = list(actions)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "binding.plumb",
        *names,
        cwd=APPLICATION,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_WITHIN):
            output, _ = await process.communicate("\n".join(actions.values()).encode())
    except TimeoutError:
        process.terminate()  # it rolls back on SIGTERM
        await process.wait()
        raise PlumbError(names[0], names[0], f"not done within {_WITHIN:.0f} s") from None
    if process.returncode == 0:
        return output
    answers = output.splitlines()
    try:
        failure = json.loads(answers[-1])
        step, reason, privilege = failure["step"], failure["error"], failure["privilege"]
    except (ValueError, LookupError, TypeError):
        action = names[min(len(answers), len(names) - 1)]
        reason = f"binding.plumb ended with status {process.returncode}; its log is above"
        raise PlumbError(action, action, reason) from None
    raise PlumbError(names[len(answers) - 1], step, reason, privilege)
