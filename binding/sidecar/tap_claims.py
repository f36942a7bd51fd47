"""One dsbridge for each tap: a second sidecar in the pod leaves the tap to the first.

A registration with `sidecarImage` beside a structured plugin gives a pod two dsbridges, which would
answer each request twice and undo each other's guard.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterable

from binding.ipc.wiring import Wiring
from guest.network import GuestNetwork


class TapClaims:
    """The taps that this sidecar has claimed, each by a socket bound to a name of its own.

    Abstract names belong to the network namespace, so the sidecars of one pod see each other's, and
    the kernel frees the name when its sidecar ends in whatever way.
    """

    def __init__(self) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self.taken: frozenset[str] = frozenset()
        """Wanted taps that another sidecar of this pod has claimed; they are left to it."""

    def ours(self, guests: Iterable[GuestNetwork]) -> tuple[GuestNetwork, ...]:
        """Leave out the guests whose tap is left to another sidecar."""
        return tuple(one for one in guests if one.tap not in self.taken)

    def our_wirings(self, wirings: Iterable[Wiring]) -> tuple[Wiring, ...]:
        """Leave out the wirings whose tap is left to another sidecar."""
        return tuple(one for one in wirings if one.names.tap not in self.taken)

    def claim(self, taps: Collection[str]) -> None:
        """Claim these taps and release all others."""
        for tap in self._sockets.keys() - set(taps):
            self._sockets.pop(tap).close()
        unclaimed = (tap for tap in taps if tap not in self._sockets)
        self.taken = frozenset(filter(self._is_taken, unclaimed))

    def _is_taken(self, tap: str) -> bool:
        """Claim a tap; say whether another sidecar has. Want of memory or files says nothing."""
        try:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError:
            return False
        try:
            claim.bind(f"\0dsbridge/{tap}")
        except OSError as error:
            claim.close()
            return error.errno == errno.EADDRINUSE
        self._sockets[tap] = claim
        return False
