"""The program that KubeVirt calls: `python -m binding.hooks CONTROL LISTENER STATE [structured]`.

Started by the sidecar when somebody connects to the hook socket. CONTROL and LISTENER are
descriptors: of the channel to the sidecar, and of the listening hook socket. Holds no capability.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from binding.hooks import lean_grpc  # noqa: F401  # before what imports asyncio or gRPC
from binding.process import capabilities, logs, oom


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
    from binding.hooks import program  # noqa: PLC0415  # behind the log: gRPC may have to say something

    program.run(
        socket.socket(fileno=int(control)),
        socket.socket(fileno=int(listener)),
        Path(state),
        structured="structured" in words,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
