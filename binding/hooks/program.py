"""The event loop of `hooks`: gRPC server, channel to the sidecar, and when to leave.

virt-launcher gives a server 2 s to greet it, so the gRPC server starts first, and everything that
only a call needs is imported behind it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from binding.hooks.grpc_front import GrpcFront
from binding.hooks.grpc_services import Services
from binding.hooks.sidecar import Sidecar
from binding.ipc.messages import Leaving, Lost, Ready

_LEAVES_AFTER = 600.0
"""Seconds without a connection after which this program leaves."""


def run(control: socket.socket, listener: socket.socket, state: Path, *, structured: bool) -> None:
    """Answer hook calls until nobody has been connected for long, or the sidecar ends."""
    asyncio.run(_run(control, listener, state, structured=structured))


async def _run(
    control: socket.socket, listener: socket.socket, state: Path, *, structured: bool
) -> None:
    sidecar = Sidecar(control)
    services = Services(sidecar, structured=structured)
    # By descriptor: the path of a unix socket may have 107 bytes, a directory more.
    short = f"/proc/self/fd/{os.open(state, os.O_PATH | os.O_DIRECTORY)}"
    front = GrpcFront(listener, f"{short}/grpc.sock", services, on_lost=lambda: sidecar.say(Lost()))
    leaves_after = float(os.environ.get("DSBRIDGE_HOOKS_LINGER") or _LEAVES_AFTER)
    await front.start()
    sidecar.say(Ready())
    services.load_soon()
    gone = asyncio.ensure_future(sidecar.run())
    idle = asyncio.ensure_future(front.idle(leaves_after))
    alone = asyncio.ensure_future(front.is_alone(sidecar.asked_to_leave))
    await asyncio.wait({gone, idle, alone}, return_when=asyncio.FIRST_COMPLETED)
    if not gone.done():
        sidecar.say(Leaving())
    await front.close()
