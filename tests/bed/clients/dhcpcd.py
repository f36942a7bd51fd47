"""dhcpcd with Debian's configuration and hooks: DHCPv4, DHCPv6 and router solicitation in one."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bed.clients.lease import Told, finite, resolv_conf, variables
from tests.bed.clients.userland import Daemon, Userland


@dataclass(slots=True)
class Dhcpcd:
    guest: Userland
    families: tuple[int, ...]
    extra: str = ""
    """Text added to Debian's dhcpcd.conf."""
    resolves: bool = True
    daemon: Daemon | None = None

    def start(self) -> None:
        """Start, or start again with the lease on file: INIT-REBOOT."""
        if self.extra:
            conf = self.guest.read("/etc/dhcpcd.conf")
            self.guest.write("/etc/dhcpcd.conf", f"{conf}\n{self.extra}\n")
            self.extra = ""
        self.guest.link("up")
        self.daemon = self.guest.spawn("dhcpcd", "-B", "-d", *self._link())

    def _link(self) -> tuple[str, ...]:
        only = () if self.families == (4, 6) else (f"-{self.families[0]}",)
        return (*only, self.guest.interface)  # both name the PID file

    def told(self) -> Told:
        dns, search = resolv_conf(self.guest.read("/etc/resolv.conf"))
        dump = self.guest.run("dhcpcd", "-4", "-U", self.guest.interface, check=False)
        seconds = variables(dump).get("dhcp_lease_time")
        return Told(dns, search, finite(seconds) if seconds else None, self.guest.hostname())

    def stop(self) -> None:
        assert self.daemon
        self.daemon.stop("TERM")  # "persistent" in Debian's configuration: nothing is released

    def renew(self) -> None:
        self.guest.run("dhcpcd", "-N", *self._link())

    def rebind(self) -> None:
        self.guest.run("dhcpcd", "-n", *self._link())

    def release(self) -> None:
        # It gives dhcpcd 10 s to end, too few on a busy machine; what the guest has is looked at.
        self.guest.run("dhcpcd", "-k", *self._link(), check=False)
