"""The event loop of `hooks`: gRPC server, channel to the sidecar, and when to leave.

virt-launcher gives a server 2 s to greet it, so everything that only a call needs is imported
behind that.
"""

from __future__ import annotations

import logging
import math
import os
import socket

from binding.hooks.grpc_server import GrpcServer
from binding.hooks.grpc_services import Services
from binding.hooks.sidecar import Sidecar
from binding.ipc.messages import Leaving, Lost, Ready
from binding.process.loop import Loop

_log = logging.getLogger(__name__)

_LEAVES_AFTER = 600.0
"""Seconds without a connection after which this program leaves."""
_SOONEST_LOOK, _LATEST_LOOK = 0.1, 10.0
_GRACE = 2.0
"""Seconds for calls under way when this program ends."""


class Program:
    """The program `hooks`, one in its process."""

    def __init__(
        self, control: socket.socket, listener: socket.socket, *, structured: bool
    ) -> None:
        self._loop = loop = Loop()
        self._sidecar = Sidecar(loop, control, on_end=loop.stop)
        services = Services(loop, self._sidecar, structured=structured)
        self._server = GrpcServer(
            loop, listener, services.find, on_lost=lambda: self._sidecar.say(Lost())
        )
        self._leaves_after = _leaves_after()

    def run(self) -> None:
        """Answer hook calls until nobody has been connected for long, or the sidecar ends."""
        self._sidecar.say(Ready())
        self._look()
        self._loop.run()
        self._server.close()
        self._loop.run_while(lambda: self._server.is_busy, _GRACE)

    def _look(self) -> None:
        """Leave, if nobody has been connected for long enough."""
        idle = self._server.idle()
        left = self._leaves_after - (idle or 0.0)
        if idle is None or left > 0:
            self._loop.after(min(max(left, _SOONEST_LOOK), _LATEST_LOOK), self._look)
            return
        self._server.close()  # a caller that connects from here on waits for the next hooks
        self._sidecar.say(Leaving())
        self._loop.stop()


def _leaves_after() -> float:
    """Return DSBRIDGE_HOOKS_LINGER in seconds; for another text warn, and return the default."""
    text = os.environ.get("DSBRIDGE_HOOKS_LINGER") or str(_LEAVES_AFTER)
    try:
        seconds = float(text)
        if 0 <= seconds < math.inf:
            return seconds
    except ValueError:
        pass
    _log.warning(
        "DSBRIDGE_HOOKS_LINGER=%.60s is no number of seconds; taking %.0f", text, _LEAVES_AFTER
    )
    return _LEAVES_AFTER
