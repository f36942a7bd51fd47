"""ISC dhclient with Debian's configuration, script and hooks; one process per family."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.bed.clients.lease import Told, finite, resolv_conf
from tests.bed.clients.userland import SETTLED, Daemon, Userland

_LEASES4 = "/var/lib/dhcp/dhclient.leases"
_LEASES6 = "/var/lib/dhcp/dhclient6.leases"


@dataclass(slots=True)
class Dhclient:
    guest: Userland
    families: tuple[int, ...]
    extra: str = ""
    """Text added to Debian's dhclient.conf."""
    resolves: bool = True
    daemon: Daemon | None = None

    def start(self) -> None:
        """Start, or start again with the leases on file: INIT-REBOOT and CONFIRM."""
        if self.extra:
            conf = self.guest.read("/etc/dhcp/dhclient.conf")
            self.guest.write("/etc/dhcp/dhclient.conf", f"{conf}\n{self.extra}\n")
            self.extra = ""
        self.guest.link("up")
        interface = self.guest.interface
        if 4 in self.families:
            self.daemon = self.guest.spawn("dhclient", "-4", "-d", "-v", interface)
        if 6 in self.families:
            command = f'{SETTLED}; exec dhclient -6 -d -v "$0"'
            daemon = self.guest.spawn("sh", "-c", command, interface)
            self.daemon = self.daemon or daemon

    def told(self) -> Told:
        # Debian's script lets either family overwrite resolv.conf: the last to bind wins.
        dns, search = resolv_conf(self.guest.read("/etc/resolv.conf"))
        seconds = re.findall(r"max-life (\d+);", self.guest.read(_LEASES6))
        seconds += re.findall(r"dhcp-lease-time (\d+);", self.guest.read(_LEASES4))
        lease = finite(seconds[-1]) if seconds else None
        return Told(dns, search, lease, self.guest.hostname())

    def stop(self) -> None:
        for daemon in self.guest.daemons:
            daemon.stop("KILL")

    def renew(self) -> None:
        raise NotImplementedError("dhclient renews by its timers only")

    def rebind(self) -> None:
        raise NotImplementedError("dhclient rebinds by its timers only")

    def release(self) -> None:
        for family in self.families:
            self.guest.run("dhclient", f"-{family}", "-r", "-v", self.guest.interface)
