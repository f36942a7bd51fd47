"""A TCP server that sends a megabyte to whoever connects."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bed.netns import Netns

PORT = 5001
LENGTH = 1 << 20


class _Sends(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(bytes(LENGTH))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def octets(space: Netns, address: str) -> Iterator[None]:
    """Serve at an address of a namespace."""

    class Server(_Server):
        address_family = 10 if ":" in address else 2  # AF_INET6, AF_INET

    server = space.call(lambda: Server((address, PORT), _Sends))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
