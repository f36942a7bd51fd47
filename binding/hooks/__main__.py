"""The program that KubeVirt calls: `python -m binding.hooks CONTROL LISTENER STATE [structured]`.

Started by the sidecar when somebody connects to the hook socket. CONTROL and LISTENER are
descriptors: of the channel to the sidecar, and of the listening hook socket. virt-launcher gives a
server 2 s to greet it, so the gRPC server starts first and everything else is imported behind it.
Holds no capability.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from binding.process import capabilities, logs, no_openssl, oom  # noqa: F401  # keeps OpenSSL out

_LINGERS = 600.0
"""Seconds without a connection after which this program leaves."""


def main(argv: list[str]) -> None:
    """Answer hook calls until nobody has been connected for long, or the sidecar ends."""
    control, listener, state, *words = argv
    capabilities.drop()
    capabilities.no_new_privs()
    oom.choose_me()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the sidecar, which decides
    logs.to_stderr()
    # Nothing here forks; gRPC need not prepare for it.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    asyncio.run(
        _run(
            socket.socket(fileno=int(control)),
            socket.socket(fileno=int(listener)),
            Path(state),
            structured="structured" in words,
        )
    )


async def _run(
    control: socket.socket, listener: socket.socket, state: Path, *, structured: bool
) -> None:
    from binding.hooks.grpc_front import GrpcFront  # noqa: PLC0415  # imports gRPC
    from binding.hooks.grpc_services import Services  # noqa: PLC0415  # imports gRPC
    from binding.hooks.sidecar import Sidecar  # noqa: PLC0415  # behind the log, as the others
    from binding.ipc.messages import Leaving, Lost, Ready  # noqa: PLC0415  # likewise

    sidecar = Sidecar(control)
    services = Services(sidecar, structured=structured)
    # By descriptor: the path of a unix socket may have 107 bytes, a directory more.
    short = f"/proc/self/fd/{os.open(state, os.O_PATH | os.O_DIRECTORY)}"
    front = GrpcFront(listener, f"{short}/grpc.sock", services, on_lost=lambda: sidecar.say(Lost()))
    lingers = float(os.environ.get("DSBRIDGE_HOOKS_LINGER") or _LINGERS)
    await front.start()
    sidecar.say(Ready())
    services.load_soon()
    gone = asyncio.ensure_future(sidecar.run())
    idle = asyncio.ensure_future(front.idle(lingers))
    await asyncio.wait({gone, idle}, return_when=asyncio.FIRST_COMPLETED)
    if not gone.done():
        sidecar.say(Leaving())
    await front.close()


if __name__ == "__main__":
    main(sys.argv[1:])
