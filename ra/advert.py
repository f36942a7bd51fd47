"""The router advertisement of a guest's configuration, as a frame. Pure.

Lifetimes are the longest that a router may announce (RFC 8319), so that a guest keeps its
network while no `serve` runs. Routes through a router end together with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from ra import encrypted_dns
from ra.gateway import Router
from ra.message import frame

LIFETIME = 65535
"""Seconds, of the router, its routes (RIO), RDNSS and DNSSL: the most that a router
lifetime can say, and far more than three times the longest interval between two RAs."""
_PREF64_LIFETIME = 8191  # units of 8 seconds: the most that 13 bits can say
_MOST_SERVERS = 32  # more than any resolver asks; half of the room that the least MTU has
_LARGEST = 2040  # 255 units of 8 octets, of one option
_PREFERENCES = {"high": 1, "medium": 0, "low": 3}  # RFC 4191 section 2.1; scapy's default is High


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
    guest: GuestNetwork,
    router: Router,
    to: tuple[IPv6Address, str],
    *,
    deprecate: bool = False,
    ended: tuple[bytes, ...] = (),
) -> bytes:
    """Return the frame of an RA from the router to an IPv6 address and MAC.

    The frame's source MAC is the router's where that is known. `deprecate` adds the prefixes
    that the guest must stop using, `ended` are options of `ended_options`.
    """
    lifetime = LIFETIME if guest.default6 and guest.default6.gateway else 0
    candidates = [*_link(guest, router), *_prefixes(guest, deprecate=deprecate)]
    candidates += [
        *_resolver(_servers(guest), _names(guest), LIFETIME),
        *_routes(guest, LIFETIME),
        *ended,
        *_rarer(guest),
    ]
    # ND messages are never fragmented (RFC 6980): what does not fit is left out.
    room = max(guest.mtu, 1280) - 40 - 16
    fitting = []
    for option in candidates:
        if len(option) <= room:
            room -= len(option)
            fitting.append(option)
    return _frame(guest, router, to, lifetime, b"".join(fitting))


def withdrawal(
    guest: GuestNetwork,
    router: Router,
    to: tuple[IPv6Address, str],
    ended: tuple[bytes, ...] = (),
) -> bytes:
    """Return an RA that ends a router, the routes through it, and what `ended` does.

    Prefixes and resolvers belong to the link: the next router's RA has them again.
    """
    return _frame(guest, router, to, 0, b"".join((*_routes(guest, 0), *ended)))


def ended_options(former: GuestNetwork, guest: GuestNetwork) -> tuple[bytes, ...]:
    """Return options of lifetime 0 for what RAs of `former` have said and those of `guest` do not.

    A guest that hears them drops resolvers and routes at once, and an address of its own making
    for new connections: RFC 4862 section 5.5.3 lets it last for two hours more.
    """
    if not former.gets_ipv6:
        return ()
    told = guest.gets_ipv6
    now = prefixes(guest) if told else ()
    on_link = {one.network for one in now}
    autonomous = {one.network for one in now if one.autonomous}
    pios = (
        _pio(Prefix(one.network, one.network not in on_link, autonomous=True, lifetime=0))
        for one in prefixes(former)
        if one.network not in on_link or (one.autonomous and one.network not in autonomous)
    )
    kept = _announced_routes(guest) if told else ()
    routes = (_rio(one, 0) for one in _announced_routes(former) if one not in kept)
    servers = [one for one in _servers(former) if not told or one not in _servers(guest)]
    names = [one for one in _names(former) if not told or one not in _names(guest)]
    encrypted = [one for one in former.encrypted_dns if not told or one not in guest.encrypted_dns]
    gone = encrypted_dns.options(replace(former, encrypted_dns=tuple(encrypted)), 0)
    return (*pios, *routes, *_resolver(servers, names, 0), *gone)


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
        # Section 2.2: of a router that is no default router it MUST be medium.
        prf=_PREFERENCES[guest.preference if lifetime else "medium"],
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
    preference = _PREFERENCES[guest.preference]
    return (_rio(network, lifetime, preference) for network in _announced_routes(guest))


def _announced_routes(guest: GuestNetwork) -> tuple[IPv6Network, ...]:
    """Return the destinations that lead through the router announced."""
    gateway = guest.gateway6
    return tuple(
        route.destination
        for route in guest.routes
        if isinstance(route.destination, IPv6Network)
        and gateway is not None
        and route.gateway == gateway
        and route.destination.prefixlen
        and _usable(route.destination)
    )


def _rio(network: IPv6Network, lifetime: int, preference: int = 0) -> bytes:
    """Return a route information option (RFC 4191)."""
    return built(
        ICMPv6NDOptRouteInfo(
            # 8, 16 or 24 octets by prefix length (section 2.3); scapy trims by zeros.
            len=3 if network.prefixlen > 64 else 2,
            plen=network.prefixlen,
            prf=preference,
            rtlifetime=lifetime,
            prefix=str(network.network_address),
        )
    )


def _servers(guest: GuestNetwork) -> list[str]:
    found = [str(server) for server in guest.dns if isinstance(server, IPv6Address)]
    return found[:_MOST_SERVERS]


def _names(guest: GuestNetwork) -> list[str]:
    names, size = list[str](), 8
    for name in guest.search:
        size += len(name) + 2
        if size > _LARGEST:
            break
        names.append(name)
    return names


def _resolver(servers: list[str], names: list[str], lifetime: int) -> Iterator[bytes]:
    if servers:
        yield built(ICMPv6NDOptRDNSS(res=0, lifetime=lifetime, dns=servers))
    if names:
        yield built(ICMPv6NDOptDNSSL(res=0, lifetime=lifetime, searchlist=names))


def _rarer(guest: GuestNetwork) -> Iterator[bytes]:
    if guest.pref64 is not None and guest.pref64.prefixlen in PREF64_LENGTHS:
        yield built(
            ICMPv6NDOptPREF64(
                scaledlifetime=_PREF64_LIFETIME,
                plc=PREF64_LENGTHS.index(guest.pref64.prefixlen),
                prefix=str(guest.pref64.network_address),
            )
        )
    yield from encrypted_dns.options(guest, LIFETIME)
    uri = guest.captive_portal.encode()
    if uri and len(uri) <= _LARGEST - 2:
        padded = uri + bytes(-(len(uri) + 2) % 8)
        yield built(ICMPv6NDOptCaptivePortal(URI=padded))
