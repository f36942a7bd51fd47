"""The bare kernel: what a guest without any client makes of a router advertisement."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bed.clients.lease import Told
from tests.bed.clients.userland import Daemon, Userland


@dataclass(slots=True)
class KernelRa:
    guest: Userland
    families: tuple[int, ...] = ()
    extra: str = ""
    resolves: bool = False
    daemon: Daemon | None = None

    def start(self) -> None:
        self.guest.link("up")

    def told(self) -> Told:
        return Told()

    def stop(self) -> None:
        self.guest.link("down")

    def renew(self) -> None:
        raise NotImplementedError("the kernel holds no lease")

    rebind = release = renew
