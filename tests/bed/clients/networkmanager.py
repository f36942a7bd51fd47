"""NetworkManager with its internal DHCP client; everything it was told comes from nmcli."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.bed.clients.lease import Told, addresses, domains, finite
from tests.bed.clients.userland import Daemon, Userland

_CONF = """[main]
plugins=keyfile
dhcp=internal
configure-and-quit=no
no-auto-default=*
[device]
match-device=*
managed=1
[logging]
level=DEBUG
domains=DHCP,IP4,IP6,CORE,DEVICE,PLATFORM:INFO
"""
_PROFILE = """[connection]
id=guest
interface-name={interface}
autoconnect=true
type={kind}
[ipv4]
method={ipv4}
[ipv6]
method={ipv6}
{extra}
"""
_TAP = """tun
[tun]
mode=2
vnet-hdr=true"""


@dataclass(slots=True)
class NetworkManager:
    guest: Userland
    families: tuple[int, ...]
    extra: str = ""
    """Text added to the connection profile, with its own section headers."""
    resolves: bool = True
    daemon: Daemon | None = None

    def start(self) -> None:
        guest = self.guest
        link = guest.netns.query("-d", "link", "show", "dev", guest.interface)[0]
        # A profile applies to one type of device, and the end of a cable is a tap.
        tap = link.get("linkinfo", {}).get("info_kind") == "tun"
        profile = _PROFILE.format(
            interface=guest.interface,
            kind=_TAP if tap else "ethernet",
            ipv4="auto" if 4 in self.families else "disabled",
            ipv6="auto" if 6 in self.families else "ignore",
            extra=self.extra,
        )
        guest.write("/run/NetworkManager/system-connections/guest.nmconnection", profile, 0o600)
        self.run()

    def run(self) -> None:
        """Start with the profiles that the guest has."""
        guest = self.guest
        guest.bus()
        guest.write("/run/NetworkManager.conf", _CONF)
        guest.write("/run/udev/control", "")  # without it NetworkManager takes no link as ready
        guest.run("mount", "-o", "remount,ro,bind", "/sys")
        guest.link("up")
        self.daemon = guest.spawn("NetworkManager", "-d", "--config", "/run/NetworkManager.conf")

    def told(self) -> Told:
        show = ("nmcli", "-t", "-e", "no", "-f", "all", "device", "show", self.guest.interface)
        rows = [line.partition(":") for line in self.guest.run(*show, check=False).splitlines()]
        dns = " ".join(value for key, _, value in rows if re.match(r"IP[46]\.DNS", key))
        search = [value for key, _, value in rows if re.match(r"IP[46]\.(DOMAIN|SEARCHES)", key)]
        options = [value.partition(" = ") for key, _, value in rows if key.startswith("DHCP4")]
        option = {name: value for name, _, value in options}
        seconds = option.get("dhcp_lease_time")
        return Told(
            addresses(dns),
            domains(search),
            finite(seconds) if seconds else None,
            option.get("host_name"),
        )

    def stop(self) -> None:
        assert self.daemon
        self.daemon.stop("KILL")

    def renew(self) -> None:
        raise NotImplementedError("NetworkManager renews by its timers only")

    def rebind(self) -> None:
        raise NotImplementedError("NetworkManager rebinds by its timers only")

    def release(self) -> None:
        self.guest.run("nmcli", "device", "disconnect", self.guest.interface)
