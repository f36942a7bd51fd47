"""The program that KubeVirt calls: `python -m binding.hooks CONTROL LISTENER [structured]`.

Started by the sidecar when somebody connects to the hook socket. CONTROL and LISTENER are
descriptors: of the channel to the sidecar, and of the listening hook socket. Holds no capability.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from binding.process import capabilities, lean, logs, oom  # noqa: F401  # lean before logs


def main(argv: list[str]) -> None:
    """Answer hook calls until nobody has been connected for long, or the sidecar ends."""
    control, listener, *words = argv
    capabilities.drop()
    capabilities.no_new_privs()
    oom.choose_me(oom.CHILD)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the sidecar, which decides
    logs.to_stderr()
    from binding.hooks.program import Program  # noqa: PLC0415  # behind lean

    Program(
        socket.socket(fileno=int(control)),
        socket.socket(fileno=int(listener)),
        structured="structured" in words,
    ).run()
    os._exit(0)  # at once: until then a caller may connect to the socket of a sidecar that is gone


if __name__ == "__main__":
    main(sys.argv[1:])
