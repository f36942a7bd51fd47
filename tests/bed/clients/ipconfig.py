"""klibc's ipconfig, the client of Debian's initramfs: leases once and exits."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bed.clients.lease import Told, addresses, domains, variables
from tests.bed.clients.userland import Daemon, Userland


@dataclass(slots=True)
class Ipconfig:
    guest: Userland
    families: tuple[int, ...] = (4,)
    extra: str = ""
    resolves: bool = True
    daemon: Daemon | None = None

    def start(self) -> None:
        self.guest.link("up")
        ipconfig = ("/usr/lib/klibc/bin/ipconfig", "-t", "10", "-c", "dhcp", "-d")
        self.daemon = self.guest.spawn(*ipconfig, self.guest.interface)

    def told(self) -> Told:
        told = variables(self.guest.read(f"/run/net-{self.guest.interface}.conf"))
        dns = " ".join(told.get(f"IPV4DNS{n}", "") for n in (0, 1)).replace("0.0.0.0", "")
        search = told.get("DOMAINSEARCH") or told.get("DNSDOMAIN", "")
        return Told(addresses(dns), domains(search.split()), None, told.get("HOSTNAME") or None)

    def stop(self) -> None:
        assert self.daemon
        self.daemon.stop("KILL")

    def renew(self) -> None:
        raise NotImplementedError("ipconfig leases once")

    rebind = release = renew
