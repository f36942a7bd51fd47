"""Clients of one family with few abilities: the bare kernel, wide's dhcp6c, klibc's ipconfig."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bed.clients.lease import Told, addresses, domains, resolv_conf, variables
from tests.bed.clients.userland import Daemon, Userland

_DHCP6C = """interface {interface} {{
  send ia-na 0;
  request domain-name-servers, domain-name;
  script "/etc/wide-dhcpv6/dhcp6c-script";
  {extra}
}};
id-assoc na 0 {{ }};
"""
_SETTLED = 'until ip -6 -o addr show dev "$0" scope link -tentative | grep -q .; do sleep 0.1; done'


@dataclass(slots=True)
class KernelRa:
    """No client at all: what the kernel makes of a router advertisement."""

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


@dataclass(slots=True)
class Dhcp6c:
    guest: Userland
    families: tuple[int, ...] = (6,)
    extra: str = ""
    """Statements for its interface block."""
    resolves: bool = True
    daemon: Daemon | None = None

    def start(self) -> None:
        conf = _DHCP6C.format(interface=self.guest.interface, extra=self.extra)
        self.guest.write("/run/dhcp6c.conf", conf)
        self.guest.link("up")
        command = f'{_SETTLED}; exec dhcp6c -f -D -c /run/dhcp6c.conf "$0"'
        self.daemon = self.guest.spawn("sh", "-c", command, self.guest.interface)

    def told(self) -> Told:
        return Told(*resolv_conf(self.guest.read("/etc/resolv.conf")))

    def stop(self) -> None:
        assert self.daemon
        self.daemon.stop("KILL")

    def renew(self) -> None:
        raise NotImplementedError("dhcp6c renews by its timers only")

    rebind = renew

    def release(self) -> None:
        assert self.daemon
        self.daemon.stop("TERM")


@dataclass(slots=True)
class Ipconfig:
    """Debian's initramfs client: leases once and exits."""

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
