"""The router advertisement of a guest's configuration, as a frame. Pure.

Lifetimes are the longest that a router may announce (RFC 8319), so that a guest keeps its
network while no `serve` runs. Routes through a router end together with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network

from scapy.layers.inet6 import (
    ICMPv6ND_RA,
    ICMPv6NDOptCaptivePortal,
    ICMPv6NDOptDNSSL,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPREF64,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptRouteInfo,
    ICMPv6NDOptSrcLLAddr,
)
from scapy.packet import Raw

from guest.build import built
from guest.network import INFINITE, OUR_MAC, PREF64_LENGTHS, GuestNetwork
from ra.gateway import Router
from ra.message import frame

LIFETIME = 65535
"""Seconds, of the router, its routes (RIO), RDNSS and DNSSL: the most that a router
lifetime can say, and far more than three times the longest interval between two RAs."""
_PREF64_LIFETIME = 8191  # units of 8 seconds: the most that 13 bits can say
_MOST_SERVERS = 32  # more than any resolver asks; half of the room that the least MTU has
_LARGEST = 2040  # 255 units of 8 octets, of one option
_MEDIUM = 0  # scapy's default is High


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix information option (RFC 4861 section 4.6.2)."""

    network: IPv6Network
    on_link: bool
    autonomous: bool
    lifetime: int
    """Seconds, preferred and valid."""


@lru_cache(maxsize=8)  # a guest is sent the same few frames again and again
def advertisement(
    guest: GuestNetwork, router: Router, to: tuple[IPv6Address, str], *, deprecate: bool = False
) -> bytes:
    """Return the frame of an RA from the router to an IPv6 address and MAC.

    The frame's source MAC is the router's where that is known. `deprecate` adds the prefixes
    that the guest must stop using.
    """
    lifetime = LIFETIME if guest.default6 and guest.default6.gateway else 0
    candidates = [*_link(guest, router), *_prefixes(guest, deprecate=deprecate)]
    candidates += [*_resolver(guest), *_routes(guest, LIFETIME), *_rarer(guest)]
    # ND messages are never fragmented (RFC 6980): what does not fit is left out.
    room = max(guest.mtu, 1280) - 40 - 16
    fitting = []
    for option in candidates:
        if len(option) <= room:
            room -= len(option)
            fitting.append(option)
    return _frame(guest, router, to, lifetime, b"".join(fitting))


def withdrawal(guest: GuestNetwork, router: Router, to: tuple[IPv6Address, str]) -> bytes:
    """Return an RA that ends a router and the routes through it, and nothing else.

    Prefixes and resolvers belong to the link: the next router's RA has them again.
    """
    return _frame(guest, router, to, 0, b"".join(_routes(guest, 0)))


def prefixes(guest: GuestNetwork) -> tuple[Prefix, ...]:
    """Return what the pod's addresses and on-link routes say about the guest's link.

    A /128 says nothing is on-link, and a host route only leads to a gateway: no PIO.
    """
    found = {
        address.network: Prefix(
            address.network,
            on_link=True,
            autonomous=guest.has_slaac and address.network.prefixlen == 64,
            lifetime=guest.lease_seconds,
        )
        for address in guest.ipv6
    }
    for route in guest.routes:
        network = route.destination
        if isinstance(network, IPv6Network) and route.gateway is None:
            found.setdefault(network, Prefix(network, True, False, INFINITE))  # noqa: FBT003  # flags L and A, in their order
    return tuple(p for p in found.values() if 0 < p.network.prefixlen < 128 and _usable(p.network))


def _usable(network: IPv6Network) -> bool:
    return not (network.is_link_local or network.is_multicast)


def _frame(
    guest: GuestNetwork, router: Router, to: tuple[IPv6Address, str], lifetime: int, options: bytes
) -> bytes:
    message = ICMPv6ND_RA(
        chlim=64,
        M=int(guest.has_dhcp6),
        O=1,
        prf=_MEDIUM,
        routerlifetime=lifetime,
    )
    return frame(router.lladdr or OUR_MAC, to[1], router.address, to[0], message, Raw(options))


def _link(guest: GuestNetwork, router: Router) -> Iterator[bytes]:
    if router.lladdr is not None:
        yield built(ICMPv6NDOptSrcLLAddr(lladdr=router.lladdr))
    if guest.mtu >= 1280:
        yield built(ICMPv6NDOptMTU(mtu=guest.mtu))


def _prefixes(guest: GuestNetwork, *, deprecate: bool) -> Iterator[bytes]:
    announced = prefixes(guest)
    for prefix in announced:
        yield _pio(prefix)
    if deprecate:
        current = {prefix.network for prefix in announced}
        for network in guest.deprecated:
            if network not in current:
                # Both flags: an option without A says nothing to SLAAC (RFC 4862, 5.5.3).
                yield _pio(Prefix(network, True, True, 0))  # noqa: FBT003  # flags L and A, in their order


def _pio(prefix: Prefix) -> bytes:
    return built(
        ICMPv6NDOptPrefixInfo(
            prefix=str(prefix.network.network_address),
            prefixlen=prefix.network.prefixlen,
            L=int(prefix.on_link),
            A=int(prefix.autonomous),
            validlifetime=prefix.lifetime,
            preferredlifetime=prefix.lifetime,
        )
    )


def _routes(guest: GuestNetwork, lifetime: int) -> Iterator[bytes]:
    """Return the RIO (RFC 4191) of each route that leads through the router announced."""
    gateway = guest.gateway6
    for route in guest.routes:
        network = route.destination
        if not isinstance(network, IPv6Network) or gateway is None or route.gateway != gateway:
            continue
        if network.prefixlen and _usable(network):
            yield built(
                ICMPv6NDOptRouteInfo(
                    # 8, 16 or 24 octets by prefix length (section 2.3); scapy trims by zeros.
                    len=3 if network.prefixlen > 64 else 2,
                    plen=network.prefixlen,
                    prf=_MEDIUM,
                    rtlifetime=lifetime,
                    prefix=str(network.network_address),
                )
            )


def _resolver(guest: GuestNetwork) -> Iterator[bytes]:
    servers = [str(server) for server in guest.dns if isinstance(server, IPv6Address)]
    if servers:
        yield built(ICMPv6NDOptRDNSS(res=0, lifetime=LIFETIME, dns=servers[:_MOST_SERVERS]))
    names, size = [], 8
    for name in guest.search:
        size += len(name) + 2
        if size > _LARGEST:
            break
        names.append(name)
    if names:
        yield built(ICMPv6NDOptDNSSL(res=0, lifetime=LIFETIME, searchlist=names))


def _rarer(guest: GuestNetwork) -> Iterator[bytes]:
    if guest.pref64 is not None and guest.pref64.prefixlen in PREF64_LENGTHS:
        yield built(
            ICMPv6NDOptPREF64(
                scaledlifetime=_PREF64_LIFETIME,
                plc=PREF64_LENGTHS.index(guest.pref64.prefixlen),
                prefix=str(guest.pref64.network_address),
            )
        )
    uri = guest.captive_portal.encode()
    if uri and len(uri) <= _LARGEST - 2:
        padded = uri + bytes(-(len(uri) + 2) % 8)
        yield built(ICMPv6NDOptCaptivePortal(URI=padded))
