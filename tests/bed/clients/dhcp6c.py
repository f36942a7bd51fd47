"""wide-dhcpv6's dhcp6c with Debian's script: DHCPv6 only."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bed.clients.lease import Told, resolv_conf
from tests.bed.clients.userland import SETTLED, Daemon, Userland

_DHCP6C = """interface {interface} {{
  send ia-na 0;
  request domain-name-servers, domain-name;
  script "/etc/wide-dhcpv6/dhcp6c-script";
  {extra}
}};
id-assoc na 0 {{ }};
"""


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
        command = f'{SETTLED}; exec dhcp6c -f -D -c /run/dhcp6c.conf "$0"'
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
