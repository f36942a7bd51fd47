"""Who connects to the status socket and does not read costs the container next to nothing."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from binding.process.loop import Loop
from binding.sidecar.status_socket import StatusSocket

TEXT = b"x" * 5_000
CLIENTS = 200


async def nothing_new() -> None:
    """Stand for `serve`, which is asked before the first answers."""


@contextmanager
def serving(path: Path) -> Iterator[Loop]:
    """Serve a status socket; in the end no connection may be left of it."""
    loop = Loop()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(2 * CLIENTS)
        listener.settimeout(0)
        status = StatusSocket(loop, listener, nothing_new, TEXT.decode)
        yield loop
        loop.run_while(lambda: open_ends(path) > 1, 60)
        assert open_ends(path) == 1, "only the listening socket"
        status.close()


def open_ends(path: Path) -> int:
    """Return how many sockets the kernel has on our side of a socket's path."""
    return Path("/proc/self/net/unix").read_text().count(f" {path}\n")


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    return client


def answers(loop: Loop, clients: list[socket.socket]) -> list[bytes]:
    """Return what each client could read, once each has an answer or the end of it."""

    def is_any_waiting() -> bool:
        return len(select.select(clients, [], [], 0)[0]) < len(clients)

    loop.run_while(is_any_waiting, 60)
    return [one.recv(2 * len(TEXT), socket.MSG_PEEK) for one in clients]


def test_few_answers_wait_to_be_read_and_the_next_reader_gets_one(tmp_path):
    path = tmp_path / "status.sock"
    with serving(path) as loop:
        with ExitStack() as stack:
            clients = [stack.enter_context(connected(path)) for _ in range(CLIENTS)]
            said = answers(loop, clients)
            assert 0 < said.count(TEXT) < CLIENTS / 4
            assert said.count(TEXT) + said.count(b"") == CLIENTS
        with connected(path) as client:
            assert answers(loop, [client]) == [TEXT]


def test_a_reader_gets_the_end_at_once(tmp_path):
    path = tmp_path / "status.sock"
    with serving(path) as loop, connected(path) as client:
        answers(loop, [client])
        assert client.recv(2 * len(TEXT)) == TEXT
        assert client.recv(1) == b""
