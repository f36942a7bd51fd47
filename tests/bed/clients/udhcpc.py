"""busybox udhcpc with Debian's script, which knows no classless routes; the kernel takes the RA."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bed.clients.lease import Told, finite, resolv_conf, variables
from tests.bed.clients.userland import Daemon, Userland

_ENVIRONMENT = "/run/udhcpc.env"
_SCRIPT = f"""#!/bin/sh
case $1 in bound|renew) env >{_ENVIRONMENT};; deconfig) rm -f {_ENVIRONMENT};; esac
exec /etc/udhcpc/default.script "$@"
"""


@dataclass(slots=True)
class Udhcpc:
    guest: Userland
    families: tuple[int, ...] = (4,)
    extra: str = ""
    """Further arguments, separated by white space."""
    resolves: bool = True
    daemon: Daemon | None = None

    def start(self) -> None:
        """Start; udhcpc keeps no lease, so that every start is a DISCOVER."""
        self.guest.write("/run/udhcpc.script", _SCRIPT, 0o755)
        self.guest.link("up")
        asked = [
            f"-O{option}" for option in ("mtu", "search", "staticroutes", "ntpsrv", "hostname")
        ]
        self.daemon = self.guest.spawn(
            "busybox", "udhcpc", "-f", "-i", self.guest.interface, "-t", "10", "-T", "1",
            *asked, "-s", "/run/udhcpc.script", *self.extra.split(),
        )  # fmt: skip

    def told(self) -> Told:
        dns, search = resolv_conf(self.guest.read("/etc/resolv.conf"))
        environment = variables(self.guest.read(_ENVIRONMENT))
        lease = finite(environment["lease"]) if "lease" in environment else None
        return Told(dns, search, lease, environment.get("hostname"))

    def stop(self) -> None:
        assert self.daemon
        self.daemon.stop("TERM")  # without -R nothing is released

    def renew(self) -> None:
        assert self.daemon
        self.daemon.signal("USR1")

    def rebind(self) -> None:
        raise NotImplementedError("udhcpc rebinds by its timers only")

    def release(self) -> None:
        assert self.daemon
        self.daemon.signal("USR2")
