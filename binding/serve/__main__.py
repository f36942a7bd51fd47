"""The program that reads what guests send: `python -m binding.serve CONTROL [first]`.

Started by the sidecar. CONTROL is the descriptor of the channel to the sidecar; the first of these
programs, or one with new guests, waits for what sockets it shall open. This program opens
its packet sockets, hands copies of them to the sidecar (so that the next `serve` needs no privilege
and loses no frame), gives up every capability and then answers. It ends when the sidecar does, and
leaves when all is quiet.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys

from binding.process import capabilities, lean, logs, oom  # noqa: F401  # lean before logs
from binding.serve import early_ports


def main() -> None:
    """Serve until the sidecar closes the channel, or until there is nothing to do."""
    capabilities.hold({"NET_RAW"})
    capabilities.no_new_privs()
    oom.choose_me(oom.CHILD)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the sidecar, which decides
    logs.to_stderr()
    # scapy adds a handler of its own and warns about every odd packet of the guest.
    logging.getLogger("scapy").handlers.clear()
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    control = socket.socket(fileno=int(sys.argv[1]))
    if "first" not in sys.argv[2:] or early_ports.wait(control):
        from binding.serve import lean_scapy  # noqa: F401, PLC0415  # before what imports scapy
        from binding.serve.loop import ServeLoop  # noqa: PLC0415  # imports scapy

        ServeLoop(control).run()


if __name__ == "__main__":
    main()
