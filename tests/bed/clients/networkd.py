"""systemd-networkd, without systemd as PID 1; DNS and lease from its state files."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bed.clients.lease import Told, addresses, domains, finite, variables
from tests.bed.clients.userland import Daemon, Userland
from tests.bed.wait import until

_NETWORK = """[Match]
Name={interface}
[Network]
DHCP={dhcp}
IPv6AcceptRA=yes
[DHCPv4]
UseMTU=yes
UseDomains=yes
[DHCPv6]
UseDomains=yes
[IPv6AcceptRA]
UseDomains=yes
{extra}
"""
_DHCP = {(4, 6): "yes", (4,): "ipv4", (6,): "ipv6"}


@dataclass(slots=True)
class Networkd:
    guest: Userland
    families: tuple[int, ...]
    extra: str = ""
    """Text added to the .network file, with its own section headers."""
    resolves: bool = True
    daemon: Daemon | None = None

    def start(self) -> None:
        """Start, or start again with the lease in /run."""
        guest = self.guest
        conf = _NETWORK.format(
            interface=guest.interface, dhcp=_DHCP[self.families], extra=self.extra
        )
        guest.write("/run/systemd/network/10-guest.network", conf)
        self.run()

    def run(self) -> None:
        """Start with the configuration that the guest has."""
        guest = self.guest
        guest.bus()
        # Only where /sys is read-only does networkd not wait for udev to have seen the link.
        guest.run("mount", "-o", "remount,ro,bind", "/sys")
        guest.run("mkdir", "-p", "/run/systemd/netif/links", "/run/systemd/netif/leases")
        # networkd 249 (Ubuntu 22.04) asks instead whether it runs in a container.
        guest.write("/run/systemd/container", "lxc\n")
        guest.run("chown", "-R", "systemd-network:", "/run/systemd")
        debug = ("env", "SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console")
        self.daemon = guest.spawn(*debug, "/lib/systemd/systemd-networkd")

    def told(self) -> Told:
        index = self.guest.index()
        link = variables(self.guest.read(f"/run/systemd/netif/links/{index}"))
        lease = variables(self.guest.read(f"/run/systemd/netif/leases/{index}"))
        search = domains(link.get("DOMAINS", "").split())
        seconds = finite(lease["LIFETIME"]) if "LIFETIME" in lease else None
        return Told(addresses(link.get("DNS", "")), search, seconds, lease.get("HOSTNAME"))

    def stop(self) -> None:
        assert self.daemon
        self.daemon.stop("KILL")  # SIGTERM releases

    def renew(self) -> None:
        self.guest.run("networkctl", "renew", self.guest.interface)

    def rebind(self) -> None:
        raise NotImplementedError("networkd rebinds by its timers only")

    def release(self) -> None:
        assert self.daemon
        self.daemon.stop("TERM")


def reload(guest: Userland) -> None:
    """Have networkd read its files anew, as soon as it is on the message bus."""
    until(lambda: "Failed" not in guest.run("networkctl", "reload", check=False), "networkd", 30)
