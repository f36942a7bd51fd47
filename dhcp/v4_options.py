"""The DHCPv4 options of a guest: in order of worth, only those that its client asks for."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network

from dhcp.boot_clients import HTTP
from dhcp.v4_option_codec import FILE_SIZE, SNAME_SIZE, Shorter, classless, domain_names
from dhcp.v4_request import Request
from guest.encrypted_dns import resolvers
from guest.network import INFINITE, Address, GuestNetwork

ON_LINK = IPv4Address(0)
# What a client without a parameter request list gets, besides the VMI's private options.
USUAL = frozenset({3, 6, 12, 15, 26, 28, 42, 119, 121})
_PRIVATE = frozenset(range(224, 255))


@dataclass(frozen=True, slots=True)
class BootFields:
    """What goes into siaddr, sname and file; empty when the guest does not boot by network."""

    siaddr: IPv4Address = ON_LINK
    sname: bytes = b""
    file: bytes = b""

    @property
    def used(self) -> bool:
        """Whether sname and file are filled, so that no options may be put into them."""
        return bool(self.sname or self.file)


NOT_BOOTING = BootFields()


def lease(guest: GuestNetwork, address: IPv4Interface) -> list[tuple[int, bytes]]:
    """Return what every lease must say, whether asked or not."""
    seconds = guest.lease_seconds
    options = [lease_time(guest)]
    if seconds != INFINITE:  # nothing to renew otherwise (RFC 2131 section 4.4.5)
        options += [(58, struct.pack("!I", seconds // 2))]
        options += [(59, struct.pack("!I", seconds * 7 // 8))]
    return [*options, (1, address.netmask.packed)]


def lease_time(guest: GuestNetwork) -> tuple[int, bytes]:
    """Return option 51."""
    return 51, struct.pack("!I", guest.lease_seconds)


def prefers_ipv6(guest: GuestNetwork, request: Request) -> bool:
    """Tell whether option 108 is configured and this client asks for it (RFC 8925)."""
    return guest.ipv6_only is not None and 108 in (request.asked or ())


def v6only_wait(guest: GuestNetwork) -> bytes:
    """Return the value of option 108; empty when it is not configured."""
    wait = guest.ipv6_only
    return b"" if wait is None else struct.pack("!I", min(wait, INFINITE))


def parameters(
    guest: GuestNetwork, address: IPv4Interface, request: Request
) -> list[tuple[int, bytes]]:
    """Return the options that the guest asks for and that are known, the most needed first.

    That order is the order on the wire, and from its end options are dropped when
    the client takes less than they need.
    """
    asked = request.asked
    private = {
        code: value
        for code, value in sorted(guest.private)
        if code in _PRIVATE and (asked is None or code in asked)
    }
    wanted = (USUAL if asked is None else asked) - private.keys()  # a private 249 wins
    if len(_boot_file(guest, request)) >= FILE_SIZE:
        wanted |= {67}  # U-Boot asks for the header field alone, which cannot hold it
    made = ((code, make(guest, address, request)) for code, make in _WORTH if code in wanted)
    options = [(code, value) for code, value in (*made, *private.items()) if value]
    if {121, 249} <= wanted:  # 249 repeats 121, so every other option goes before it
        options.sort(key=lambda option: option[0] == 249)
    return options


def shorter(
    guest: GuestNetwork, address: IPv4Interface, request: Request, code: int
) -> Iterator[Shorter]:
    """Yield shorter values of an option that finds no room, the longest first.

    A search list loses its last domains; their octets cannot simply be cut off, since names
    point to each other (RFC 1035). Of the routes the default route is left, with the host
    route to a gateway off the subnet, which option 3 cannot give (RFC 3442).
    """
    if code == 119:
        yield from _heads(guest.search)
    elif code in _routes_to_cut(guest, request) and guest.default4:
        needed = routes(replace(guest, routes=(guest.default4,)), address)
        others = [net for net, _ in routes(guest, address) if net not in dict(needed)]
        if needed and others:
            yield Shorter(classless(needed), _but(f"{code} but its default route", others))


@lru_cache(maxsize=8)  # the same for every request of a guest, which may send many
def _heads(search: tuple[str, ...]) -> tuple[Shorter, ...]:
    heads = ((domain_names(search[:kept]), search[kept:]) for kept in range(len(search) - 1, 0, -1))
    return tuple(Shorter(head, _but("119 but its head", rest)) for head, rest in heads if head)


def _but(kept: str, others: Sequence[object]) -> str:
    return f"option {kept} ({len(others)} others, {others[0]} first)"


def _routes_to_cut(guest: GuestNetwork, request: Request) -> frozenset[int]:
    """Return 121, or 249 where the client asks for no 121: the two must not differ."""
    if 121 in (request.asked or USUAL):
        return frozenset({121})
    return frozenset({249}) - dict(guest.private).keys()


def boot_fields(guest: GuestNetwork, request: Request) -> BootFields:
    """Return the header fields of a network boot, for every client (RFC 2131 section 2).

    U-Boot reads them alone: it asks for neither 66 nor 67 and has no vendor class of PXE's.
    """
    file = _boot_file(guest, request)
    if not (file or guest.boot.server):
        return NOT_BOOTING
    sname = _ascii(guest.boot.server)
    return BootFields(
        siaddr=_literal(guest.boot.server) or ON_LINK,
        sname=sname if len(sname) < SNAME_SIZE else b"",
        file=file if len(file) < FILE_SIZE else b"",
    )


def routes(guest: GuestNetwork, address: IPv4Interface) -> list[tuple[IPv4Network, IPv4Address]]:
    """Return the pod's IPv4 routes in the order in which a client can install them.

    On-link ones come first, among them a host route to each gateway outside of every
    on-link prefix: RFC 3442 clients install from front to back.
    """
    hosts: list[IPv4Network] = []
    on_link: list[IPv4Network] = []
    behind: list[tuple[IPv4Network, IPv4Address]] = []
    for route in guest.routes:
        if not isinstance(route.destination, IPv4Network):
            continue
        if route.gateway is None:
            on_link.append(route.destination)
        elif isinstance(route.gateway, IPv4Address):  # DHCPv4 cannot say "via IPv6"
            behind.append((route.destination, route.gateway))
    # An on-link default route reaches every gateway, but clients want a narrower route to it.
    reached = [address.network, *(net for net in on_link if net.prefixlen)]
    for _, gateway in behind:
        if not any(gateway in net for net in reached):
            hosts.append(IPv4Network(gateway))
            reached.append(IPv4Network(gateway))
    return [*((net, ON_LINK) for net in (*hosts, *on_link)), *behind]


def _classless(guest: GuestNetwork, address: IPv4Interface, _: Request) -> bytes:
    return classless(routes(guest, address))


def _mtu(guest: GuestNetwork, _: IPv4Interface, __: Request) -> bytes:
    return struct.pack("!H", min(guest.mtu, 0xFFFF)) if guest.mtu >= 68 else b""


def _broadcast(_: GuestNetwork, address: IPv4Interface, __: Request) -> bytes:
    # /31 and /32 have no broadcast address (RFC 3021).
    return address.network.broadcast_address.packed if address.network.prefixlen < 31 else b""


def _encrypted_dns(guest: GuestNetwork) -> bytes:
    """Return option 162 (RFC 9463 section 5.1): all resolvers in one."""
    found = b""
    for one in resolvers(guest, 4):
        data = struct.pack("!HB", one.priority, len(one.name)) + one.name
        if one.addresses:
            data += bytes([len(one.addresses)]) + one.addresses + one.parameters
        found += len(data).to_bytes(2, "big") + data
    return found


def _tftp_address(guest: GuestNetwork, _: IPv4Interface, __: Request) -> bytes:
    literal = _literal(guest.boot.server)
    return literal.packed if literal else b""


def _http_class(guest: GuestNetwork, _: IPv4Interface, request: Request) -> bytes:
    # UEFI HTTP boot takes only an OFFER whose vendor class is HTTPClient (UEFI 2.10, 24.7.2).
    http = request.vendor_class.startswith(HTTP)
    return HTTP if http and _boot_file(guest, request).startswith(b"http") else b""


def _boot_file(guest: GuestNetwork, request: Request) -> bytes:
    if request.is_ipxe and guest.boot.ipxe:
        return _ascii(guest.boot.ipxe)
    by_arch = dict(guest.boot.by_arch)
    named = (by_arch[arch] for arch in request.architectures if arch in by_arch)
    return _ascii(next(named, guest.boot.file))


def _literal(server: str) -> IPv4Address | None:
    try:
        return IPv4Address(server)
    except AddressValueError:
        return None


def _ascii(text: str) -> bytes:
    return text.encode() if text.isascii() else b""


def _packed(addresses: Iterable[Address]) -> bytes:
    return b"".join(a.packed for a in addresses if isinstance(a, IPv4Address))


_Make = Callable[[GuestNetwork, IPv4Interface, Request], bytes]
# First what the guest needs to reach anything, then to boot, then names, then comfort. 3 is before
# 121, so that the guest keeps a default route where a long 121 is dropped.
_WORTH: tuple[tuple[int, _Make], ...] = (
    (3, lambda guest, _, __: guest.gateway4.packed if guest.gateway4 else b""),
    (6, lambda guest, _, __: _packed(guest.dns)),
    (26, _mtu),
    (121, _classless),
    (249, _classless),
    (60, _http_class),
    (67, lambda guest, _, request: _boot_file(guest, request)),
    (66, lambda guest, _, __: _ascii(guest.boot.server)),
    (150, _tftp_address),
    (12, lambda guest, _, __: _ascii(guest.hostname)),
    (15, lambda guest, _, __: _ascii(guest.domain)),
    (119, lambda guest, _, __: domain_names(guest.search)),
    (28, _broadcast),
    (42, lambda guest, _, __: _packed(guest.ntp)),
    (108, lambda guest, _, __: v6only_wait(guest)),
    (162, lambda guest, _, __: _encrypted_dns(guest)),
    (100, lambda guest, _, __: _ascii(guest.time_zone.posix)),
    (101, lambda guest, _, __: _ascii(guest.time_zone.tzdb)),
    (114, lambda guest, _, __: _ascii(guest.captive_portal)),
)
KNOWN = _PRIVATE.union(code for code, _ in _WORTH)
"""Every option that some guest may be told, if it asks."""
