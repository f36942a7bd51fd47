"""What the guest ended up with: the kernel's word for addresses, the client's for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
)

from tests.bed.netns import Netns

Address = IPv4Address | IPv6Address
INFINITE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Told:
    """What only the client's own files know."""

    dns: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()
    lease_seconds: int | None = None
    """None is an infinite lease, or a client that does not tell."""
    hostname: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """What the guest really has, read from its kernel and its client's files."""

    ipv4: tuple[IPv4Interface, ...]
    ipv6: tuple[IPv6Interface, ...]
    """Global scope, duplicate address detection passed."""
    routes4: tuple[tuple[str, str | None], ...]
    """(destination as iproute2 prints it, gateway), main table, best metric first."""
    routes6: tuple[tuple[str, str | None], ...]
    """As routes4, without link-local and multicast prefixes."""
    dns: tuple[Address, ...]
    search: tuple[str, ...]
    mtu: int
    """Bytes, of the link."""
    lease_seconds: int | None
    """Of the DHCPv4 lease, else of the IA_NA's valid lifetime; None is infinite or unknown."""
    hostname: str | None
    seconds_to_ipv4: float
    """From the start of the client to the first address; NaN while there is none."""
    seconds_to_ipv6: float

    @property
    def default4(self) -> IPv4Address | None:
        via = next((via for dst, via in self.routes4 if dst == "default"), None)
        return IPv4Address(via) if via else None

    @property
    def default6(self) -> IPv6Address | None:
        via = next((via for dst, via in self.routes6 if dst == "default"), None)
        return IPv6Address(via) if via else None


@dataclass(frozen=True, slots=True)
class Kernel:
    """Addresses, routes and MTU of one link, as `ip -j` has them."""

    ipv4: tuple[IPv4Interface, ...]
    ipv6: tuple[IPv6Interface, ...]
    routes4: tuple[tuple[str, str | None], ...]
    routes6: tuple[tuple[str, str | None], ...]
    mtu: int

    @property
    def has_default4(self) -> bool:
        return any(dst == "default" for dst, _ in self.routes4)

    @property
    def has_default6(self) -> bool:
        return any(dst == "default" for dst, _ in self.routes6)


def _routes(netns: Netns, family: str, interface: str) -> tuple[tuple[str, str | None], ...]:
    rows = netns.query(family, "route", "show", "table", "main", "dev", interface)
    rows.sort(key=lambda row: row.get("metric", 0))
    return tuple(
        (row["dst"], hop.get("gateway"))
        for row in rows
        if not row["dst"].startswith(("fe80:", "ff00:"))
        for hop in row.get("nexthops", (row,))
    )


def kernel(netns: Netns, interface: str) -> Kernel:
    """Read what the guest's kernel has now."""
    # Routes first: a client that sets an address, its mask and a route has then set the mask, too.
    routes = _routes(netns, "-4", interface), _routes(netns, "-6", interface)
    link = netns.query("addr", "show", "dev", interface)[0]
    settled = [
        f"{row['local']}/{row['prefixlen']}"
        for row in link["addr_info"]
        if row["scope"] == "global" and not row.get("tentative") and not row.get("dadfailed")
    ]
    return Kernel(
        tuple(IPv4Interface(text) for text in settled if ":" not in text),
        tuple(IPv6Interface(text) for text in settled if ":" in text),
        *routes,
        link["mtu"],
    )


def addresses(words: str) -> tuple[Address, ...]:
    """Parse addresses separated by white space, duplicates dropped, order kept."""
    return tuple(dict.fromkeys(ip_address(word) for word in words.split()))


def resolv_conf(text: str) -> tuple[tuple[Address, ...], tuple[str, ...]]:
    """Return name servers and search list; the last search line wins, as in the resolver."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    servers = " ".join(line[1] for line in lines if line[0] == "nameserver")
    search = [line[1:] for line in lines if line[0] in ("search", "domain")]
    return addresses(servers), domains(search[-1] if search else [])


def domains(names: Iterable[str]) -> tuple[str, ...]:
    """Drop duplicates and trailing dots, order kept."""
    return tuple(dict.fromkeys(name.rstrip(".") for name in names))


def finite(seconds: str | int) -> int | None:
    """Return the seconds of a lease; None for infinity, also as networkd's word or 2^32-1."""
    if seconds == "infinity":  # since systemd 255
        return None
    return None if int(seconds) >= INFINITE else int(seconds)


def variables(text: str) -> dict[str, str]:
    """Parse KEY=value lines as clients write them, quotes stripped; the last one wins."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("'\"") for key, _, value in pairs}
