"""The program that reads what guests send: `python -m binding.serve CONTROL`.

Started by the sidecar. CONTROL is the descriptor of the channel to the sidecar. This program opens
its packet sockets, hands copies of them to the sidecar (so that the next `serve` needs no privilege
and loses no frame), gives up every capability and then answers. It ends when the sidecar does, and
leaves when all is quiet.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys

from binding.process import capabilities, logs, oom
from binding.serve import lean_scapy  # noqa: F401  # before what imports scapy
from binding.serve.loop import ServeLoop


def main() -> None:
    """Serve until the sidecar closes the channel, or until there is nothing to do."""
    capabilities.hold({"NET_RAW"})
    capabilities.no_new_privs()
    oom.choose_me()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the sidecar, which decides
    logs.to_stderr()
    # scapy adds a handler of its own and warns about every odd packet of the guest.
    logging.getLogger("scapy").handlers.clear()
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    ServeLoop(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
