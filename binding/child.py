"""Runs binding.plumb, the short-lived child that alone knows netlink."""

from __future__ import annotations

import asyncio
import json
import sys

from binding.supervisor import APPLICATION

_WITHIN = 15.0
"""Seconds; virt-handler gives the whole of SyncVMI 20."""


class PlumbError(Exception):
    """A step in the pod's network namespace that failed, and was undone."""

    def __init__(self, step: str, reason: str, privilege: str = "") -> None:
        super().__init__(f"{step}: {reason}")
        self.privilege = privilege
        """The capability or device that is missing, if that is the reason."""


async def plumb(action: str, stdin: str = "") -> bytes:
    """Run one action and return what it printed. Raises PlumbError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "binding.plumb",
        action,
        cwd=APPLICATION,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_WITHIN):
            output, _ = await process.communicate(stdin.encode())
    except TimeoutError:
        process.terminate()  # it rolls back on SIGTERM
        await process.wait()
        raise PlumbError(action, f"not done within {_WITHIN:.0f} s") from None
    if process.returncode == 0:
        return output
    try:
        failure = json.loads(output)
        raise PlumbError(failure["step"], failure["error"], failure.get("privilege", ""))
    except (ValueError, KeyError, TypeError):
        reason = f"binding.plumb ended with status {process.returncode}; its log is above"
        raise PlumbError(action, reason) from None
