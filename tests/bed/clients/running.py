"""A running client: wait for what it brings, and make it act."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tests.bed.clients.lease import Address, Kernel, Lease, Told, kernel
from tests.bed.clients.userland import Daemon, Userland
from tests.bed.wait import Limit

_POLL = 0.1


class Program(Protocol):
    """One kind of client, under its own name and by its own means."""

    families: tuple[int, ...]
    """The families it leases by DHCP; a default route by RA is everybody's."""
    resolves: bool
    """Whether it keeps DNS servers anywhere."""
    daemon: Daemon | None

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def told(self) -> Told: ...
    def renew(self) -> None: ...
    def rebind(self) -> None: ...
    def release(self) -> None: ...


@dataclass(slots=True)
class Client:
    """A running client. Actions it cannot be told to do raise NotImplementedError."""

    name: str
    guest: Userland
    program: Program
    families: tuple[int, ...]
    """The families that the pod has."""
    started: float = 0
    seconds_to_ipv4: float = math.nan
    seconds_to_ipv6: float = math.nan

    @property
    def log(self) -> str:
        """Output of the client and of every command run on its behalf."""
        return self.guest.log

    @property
    def process(self) -> subprocess.Popen[str] | None:
        """The client's own process; of dhclient the one of the first family."""
        return self.program.daemon.process if self.program.daemon else None

    def observe(self) -> Lease:
        """Return what the guest has now, complete or not."""
        return self._lease(self._kernel())

    def lease(
        self,
        timeout: float = 20,
        until: Callable[[Lease], bool] | None = None,
        *,
        dns: tuple[Address, ...] = (),
    ) -> Lease:
        """Wait until the guest has what `until` asks for, and return it.

        Without `until`: an address in every family of the pod that this client leases, a default
        route in every family, and the DNS servers `dns`, which a client keeps a moment after the
        address; none named: any, if it keeps servers at all. TimeoutError, after so many seconds
        of a quiet machine, says what the guest had instead, with the end of the log.
        """

        def resolves(lease: Lease) -> bool:
            enough = set(dns) <= set(lease.dns) if dns else bool(lease.dns)
            return enough or not self.program.resolves

        limit = Limit(timeout)
        while True:
            have = self._kernel()
            if until or self._complete(have):
                lease = self._lease(have)
                if (until or resolves)(lease):
                    return lease
            if limit.over():
                message = f"{self.name} after {timeout} s: {self._lease(have)}\n{self.log[-6000:]}"
                raise TimeoutError(message)
            time.sleep(_POLL)

    def start(self) -> None:
        """Start after stop(), with whatever lease the client kept."""
        self.started = time.monotonic()
        self.seconds_to_ipv4 = self.seconds_to_ipv6 = math.nan
        self.program.start()

    def stop(self) -> None:
        """End the client as a power cut would: nothing released, addresses left."""
        self.program.stop()

    def renew(self) -> None:
        """Make it send a unicast REQUEST or a RENEW now."""
        self.program.renew()

    def rebind(self) -> None:
        """Make it send a broadcast REQUEST or a REBIND now."""
        self.program.rebind()

    def release(self) -> None:
        """Give the lease back; NetworkManager drops it without a word to the server."""
        self.program.release()

    def link(self, *, up: bool) -> None:
        """Take the guest's link down or up, as an administrator in it would."""
        self.guest.link("up" if up else "down")

    def carrier(self, *, on: bool) -> None:
        """Pull or plug the guest's end of a cable, as a switch port that flaps."""
        guest = self.guest
        guest.netns.ip(f"link set {guest.interface} carrier {'on' if on else 'off'}")

    def run(self, *argv: str) -> str:
        """Run a command in the guest and return its output; RuntimeError when it fails."""
        return self.guest.run(*argv)

    def _kernel(self) -> Kernel:
        have = kernel(self.guest.netns, self.guest.interface)
        seconds = time.monotonic() - self.started
        if have.ipv4 and math.isnan(self.seconds_to_ipv4):
            self.seconds_to_ipv4 = seconds
        if have.ipv6 and math.isnan(self.seconds_to_ipv6):
            self.seconds_to_ipv6 = seconds
        return have

    def _complete(self, have: Kernel) -> bool:
        leases = set(self.families) & set(self.program.families)
        return (
            (4 not in leases or bool(have.ipv4 and have.has_default4))
            and (6 not in leases or bool(have.ipv6))
            and (6 not in self.families or have.has_default6)
        )

    def _lease(self, have: Kernel) -> Lease:
        told = self.program.told()
        return Lease(
            have.ipv4, have.ipv6, have.routes4, have.routes6, told.dns, told.search, have.mtu,
            told.lease_seconds, told.hostname, self.seconds_to_ipv4, self.seconds_to_ipv6,
        )  # fmt: skip
