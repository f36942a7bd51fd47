"""dhcpcd with Debian's configuration and hooks: DHCPv4, DHCPv6 and router solicitation in one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from tests.bed.clients.lease import Told, finite, resolv_conf, variables
from tests.bed.clients.userland import Daemon, Userland
from tests.bed.wait import until

_SIGNALS = 10


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
        self._signal("USR1")  # as dhcpcd -N does

    def rebind(self) -> None:
        self._signal("HUP")  # as dhcpcd -n does

    def release(self) -> None:
        daemon = self._signal("ALRM")  # as dhcpcd -k does, which gives up after 10 s
        daemon.process.wait(60)

    def _signal(self, name: str) -> Daemon:
        """Send a signal until dhcpcd says that it has it.

        dhcpcd 9 loses a signal that comes while it waits for its hooks, which run at each router
        advertisement, too. `dhcpcd -k` then says "failed to exit", and nothing is released.
        """
        assert self.daemon
        word, begin = f"received SIG{name}", len(self.guest.log)
        for _ in range(_SIGNALS):
            until(self._is_idle, "dhcpcd's hooks to end")
            self.daemon.signal(name)
            with suppress(TimeoutError):
                until(lambda: word in self.guest.log[begin:], word, 2)
                return self.daemon
        message = f"dhcpcd has lost SIG{name} {_SIGNALS} times"
        raise TimeoutError(message)

    def _is_idle(self) -> bool:
        return not self.guest.run("pgrep", "-f", "dhcpcd-run-hooks", check=False)
