"""All that one guest is told: the one frozen value that every part of dsbridge works from.

discover makes it from pod and VMI; the domain edit, the DHCP answers and the RA
read it. Two equal values mean that nothing has to be done. Standard library only,
and nothing of ours is imported here, so that dhcp and ra may import it.
"""

from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Literal

Address = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface
"""An address with its prefix length."""
IPNetwork = IPv4Network | IPv6Network

# Ours at the tap only: no frame from them ever reaches the pod network. Constant, so that
# a guest which migrated finds the same server and virtual router on the other node.
OUR_MAC = "02:00:0d:5b:1d:9e"
OUR_LINK_LOCAL = IPv6Address("fe80::d5b:1d9e")
# The server identifier where no gateway can be it: the IPv4 dummy address (RFC 7600), never
# a guest's own and never on-link for it. A link-local one would be on-link for Windows,
# whose renewals to it then fail.
OUR_IPV4 = IPv4Address("192.0.0.8")
Shape = Literal["managed", "own", "takeover", "plugin"]
Provider = Literal["in-pod", "kube-ovn", "auto", "off"]
Family = Literal[4, 6]
Preference = Literal["high", "medium", "low"]
CloudInit = Literal["dhcp", "static", "static-v1"]
FAMILIES: tuple[Family, ...] = (4, 6)
INFINITE = 0xFFFFFFFF
"""Seconds of an infinite lease or lifetime, in DHCPv4, DHCPv6 and router advertisements alike."""
PREF64_LENGTHS = (96, 64, 56, 48, 40, 32)
"""Lengths of a NAT64 prefix (RFC 6052 section 2.2) in the order of their codes in RFC 8781."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the pod link as the guest should have it; no gateway means on-link."""

    destination: IPv4Network | IPv6Network
    gateway: Address | None = None


@dataclass(frozen=True, slots=True)
class Boot:
    """Network boot. Empty means: not offered."""

    file: str = ""
    """DHCPv4 option 67 and the `file` field, for any architecture not in `by_arch`."""
    server: str = ""
    """DHCPv4 option 66; also siaddr and option 150 when it is an IPv4 literal."""
    by_arch: tuple[tuple[int, str], ...] = ()
    """(client architecture of RFC 4578 section 2.1, boot file)."""
    url: str = ""
    """DHCPv6 option 59 (RFC 5970), for any architecture not in `url_by_arch`."""
    parameters: tuple[str, ...] = ()
    """DHCPv6 option 60 (RFC 5970)."""
    url_by_arch: tuple[tuple[int, str], ...] = ()
    """(client architecture of DHCPv6 option 61, numbered as in `by_arch`; URL)."""
    ipxe: str = ""
    """What iPXE gets instead: a script, a kernel or a URL. `file` may be what loads iPXE."""


@dataclass(frozen=True, slots=True)
class EncryptedDns:
    """A resolver that speaks DNS over TLS, QUIC or HTTPS (RFC 9463)."""

    name: str
    """What its certificate is for."""
    addresses: tuple[Address, ...] = ()
    """None: the guest resolves the name, and learns the rest from the resolver's own records."""
    alpn: tuple[str, ...] = ()
    port: int | None = None
    """None: that of the protocol."""
    dohpath: str = ""


@dataclass(frozen=True, slots=True)
class TimeZone:
    """RFC 4833; what is empty is not told."""

    tzdb: str = ""
    """A name of the TZ database: DHCPv4 option 101, DHCPv6 option 42."""
    posix: str = ""
    """A TZ string of POSIX: DHCPv4 option 100, DHCPv6 option 41."""


@dataclass(frozen=True, slots=True)
class GuestNetwork:
    """One NIC of the VM, with everything its guest may learn about it."""

    network: str
    """Name of the VMI interface; libvirt's alias is `ua-<network>`."""
    tap: str
    mac: str
    """Lower-case, colon-separated; the only link-layer address this guest may send from."""
    mtu: int
    """Bytes, of the pod link."""

    shape: Shape = "managed"
    provider: Provider = "in-pod"
    uid: str = ""
    """UID of the VMI: equal over restarts and migration, so identifiers derive from it."""
    bridge: str = ""
    nic: str = ""
    """The pod's own link, port of the bridge; empty when the guest has none."""
    migration_target: bool = False
    """The guest still runs elsewhere: nothing may be sent before its first frame."""
    shield: bool = True
    """Drop the guest's own DHCP-server messages and RAs."""

    ipv4: tuple[IPv4Interface, ...] = ()
    """The prefix length is what is on-link for the guest: /32 on point-to-point CNIs."""
    ipv6: tuple[IPv6Interface, ...] = ()
    """The prefix length is what is on-link for the guest: /128 where nothing is."""
    ipv4_mode: Literal["dhcp", "off"] = "dhcp"
    ipv6_mode: Literal["dhcp", "slaac", "both", "off"] = "dhcp"
    routes: tuple[Route, ...] = ()
    """Both families, defaults included, on-link subnets of the addresses left out."""
    preference: Preference = "medium"
    """RFC 4191: of this NIC's IPv6 default route and other routes among those of all NICs."""
    gateway_lladdrs: tuple[tuple[Address, str], ...] = ()
    """Gateways whose MAC the pod's neighbour table knew before the guest started."""
    permanent_neighbors: tuple[tuple[Address, str], ...] = ()
    """Addresses that the pod knew by a permanent neighbour entry, with the MAC. Nobody on the
    pod network need answer for them, so serve answers the guest's ARP and NS in their place."""
    deprecated: tuple[IPv6Network, ...] = ()
    """Prefixes that the guest had before a migration and must stop using."""
    delegated: tuple[IPv6Network, ...] = ()
    """Prefixes for the networks behind the guest, given by IA_PD, each in whole. The
    administrator has routed them to the guest."""

    lease: int | None = None
    """Seconds; None is an infinite lease."""
    hostname: str = ""
    domain: str = ""
    """DHCPv4 option 15: the first search domain."""
    fqdn_domain: str = ""
    """Domain in which the cluster's DNS knows the host name; empty where DNS has no such name."""
    search: tuple[str, ...] = ()
    """Valid DNS names only: discover has dropped the others with a warning."""
    dns: tuple[Address, ...] = ()
    ntp: tuple[Address, ...] = ()
    ntp_names: tuple[str, ...] = ()
    """Time servers by name, which DHCPv6 alone can tell (RFC 5908 section 4.3)."""
    encrypted_dns: tuple[EncryptedDns, ...] = ()
    """The best first."""
    time_zone: TimeZone = field(default_factory=TimeZone)
    boot: Boot = field(default_factory=Boot)
    private: tuple[tuple[int, bytes], ...] = ()
    """DHCPv4 options 224-254 of the VMI's dhcpOptions."""
    captive_portal: str = ""
    """URI of RFC 8910; empty means not offered."""
    pref64: IPv6Network | None = None
    """NAT64 prefix of RFC 8781."""
    ipv6_only: int | None = None
    """V6ONLY_WAIT of RFC 8925 in seconds; None: option 108 is never sent."""
    cloud_init: CloudInit = "dhcp"
    """How cloud-init configures this NIC by the networkData that dsbridge writes: by DHCP, or with
    the addresses in it, as network config version 2 or 1."""

    @property
    def is_served(self) -> bool:
        """Whether dsbridge or OVN configures this NIC.

        A NIC with `provider: off`, or without IPAM, is left to whoever is on its network.
        """
        return self.provider != "off" and bool(self.ipv4 or self.ipv6)

    @property
    def gets_ipv4(self) -> bool:
        """Whether there is an IPv4 address, and DHCPv4 to tell it by."""
        return bool(self.ipv4) and self.ipv4_mode == "dhcp"

    @property
    def gets_ipv6(self) -> bool:
        """Whether there is an IPv6 address, so that the guest gets router advertisements."""
        return bool(self.ipv6) and self.ipv6_mode != "off"

    @property
    def has_dhcp6(self) -> bool:
        """Whether DHCPv6 gives addresses: the M flag of router advertisements."""
        return self.ipv6_mode in ("dhcp", "both")

    @property
    def has_slaac(self) -> bool:
        """Whether the guest makes addresses of the prefixes that it is told (the A flag)."""
        return self.ipv6_mode in ("slaac", "both")

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All addresses of the guest, IPv4 first."""
        return (*(one.ip for one in self.ipv4), *(one.ip for one in self.ipv6))

    @property
    def default4(self) -> Route | None:
        """The IPv4 default route that the pod has, if any."""
        return _default(self.routes, 4)

    @property
    def gateway4(self) -> IPv4Address | None:
        """The gateway of the IPv4 default route, unless that is on-link."""
        gateway = self.default4.gateway if self.default4 else None
        return gateway if isinstance(gateway, IPv4Address) else None

    @property
    def server4(self) -> IPv4Address:
        """The DHCPv4 server identifier (option 54): an address that the guest sends renewals to.

        The default gateway, or that of another route: the guest can reach it and never has it
        itself, and what it sends there is answered at the tap. Without one, a fixed address.
        """
        default = self.default4
        routes = self.routes if default is None else (default, *self.routes)
        gateways = (route.gateway for route in routes)
        return next((one for one in gateways if isinstance(one, IPv4Address)), OUR_IPV4)

    @property
    def default6(self) -> Route | None:
        """The IPv6 default route that the pod has, if any."""
        return _default(self.routes, 6)

    @property
    def gateway6(self) -> IPv6Address | None:
        """The IPv6 gateway: the default one, else that of the first route with one."""
        default = self.default6
        routes = self.routes if default is None else (default, *self.routes)
        gateways = (route.gateway for route in routes)
        return next((gateway for gateway in gateways if isinstance(gateway, IPv6Address)), None)

    @property
    def answered_for(self) -> tuple[Address, ...]:
        """The addresses whose ARP and NS of the guest are heard, and stop, at its tap."""
        return (OUR_IPV4, OUR_LINK_LOCAL, *(address for address, _ in self.permanent_neighbors))

    @property
    def lease_seconds(self) -> int:
        """The lease as DHCP and router advertisements write it, INFINITE included."""
        return INFINITE if self.lease is None else min(self.lease, INFINITE)

    @property
    def lease_text(self) -> str:
        """The lease in words for the operator."""
        return "infinite" if self.lease is None else f"{self.lease} s"

    @property
    def fqdn(self) -> str:
        """The host name, qualified where DNS knows it, without a trailing dot; may be empty."""
        if not self.hostname or not self.fqdn_domain or "." in self.hostname:
            return self.hostname
        return f"{self.hostname}.{self.fqdn_domain}"

    def lladdr(self, address: Address) -> str | None:
        """Return the MAC that the pod knew for a gateway."""
        return dict(self.gateway_lladdrs).get(address)


def _default(routes: tuple[Route, ...], family: Family) -> Route | None:
    for route in routes:
        if route.destination.prefixlen == 0 and route.destination.version == family:
            return route
    return None
