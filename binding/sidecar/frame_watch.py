"""Asks a `serve` that leaves frames waiting in its packet sockets for a sign of life."""

from __future__ import annotations

from binding.process.loop import Loop, Timer
from binding.sidecar.child import Child, Phase
from binding.sidecar.packet_sockets import PacketSockets

_EVERY = 0.5
"""Seconds between two looks."""


class FrameWatch:
    """Looks every now and then for as long as `serve` runs."""

    def __init__(self, loop: Loop, serve: Child, sockets: PacketSockets) -> None:
        self._loop, self._serve, self._sockets = loop, serve, sockets
        self._next: Timer | None = None

    def look(self) -> None:
        """Look now, and from now on."""
        if self._next is not None:
            self._next.cancel()
        if self._serve.phase is not Phase.RUNNING:
            return
        if self._sockets.have_frames:
            self._serve.ask()
        self._next = self._loop.after(_EVERY, self.look)
