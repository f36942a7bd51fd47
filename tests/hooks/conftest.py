"""The gRPC server of hooks, on a real socket, with methods that do little."""

import socket
import threading
from contextlib import suppress

import pytest

from binding.hooks.grpc_server import GrpcServer
from binding.hooks.refusal import InvalidInput
from binding.process.loop import Loop
from tests.bed.raw_http2 import connected


@pytest.fixture
def server(tmp_path):
    loop, listener = Loop(), socket.socket(socket.AF_UNIX)
    listener.bind(f"{tmp_path}/hook.sock")
    listener.listen(512)  # as the sidecar has it
    lost = []

    async def echo(message):
        return message

    async def late(message):
        await loop.sleep(0.3)
        return message

    async def refused(message):
        raise InvalidInput(message.decode())

    async def broken(_):
        raise KeyError("a bug")

    methods = {"/a.B/Echo": echo, "/a.B/Late": late, "/a.B/No": refused, "/a.B/Bug": broken}
    made = GrpcServer(loop, listener, methods.get, on_lost=lambda: lost.append(1))
    made.path, made.lost = f"{tmp_path}/hook.sock", lost
    thread = threading.Thread(target=loop.run)
    thread.start()
    yield made
    loop.stop()
    loop.after(0, lambda: None)
    with suppress(BlockingIOError):  # of a full backlog, which wakes it, too
        connected(made).close()
    thread.join()
    for caller in list(made._callers):
        made._hang_up(caller)
    listener.close()
