"""When a guest learns of what `reload` has changed, by the means that its protocols have. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from guest.network import GuestNetwork

_ADVERTISED, _LEASED4, _LEASED6, _AT_BOOT, _HELD = "RA", "DHCPv4", "DHCPv6", "boot", "here"
_ROW = tuple[str, Callable[[GuestNetwork], object], tuple[str, ...]]


def _boot(guest: GuestNetwork) -> str:
    boot = guest.boot
    told = (boot.server, boot.file, *dict(boot.by_arch).values(), boot.url, boot.ipxe)
    return _list(filter(None, (*told, *dict(boot.url_by_arch).values(), *boot.parameters)))


def _resolvers(guest: GuestNetwork) -> str:
    texts = []
    for one in guest.encrypted_dns:
        at = " ".join(map(str, one.addresses))
        said = (("at", at), ("port", one.port), ("path", one.dohpath), ("by", " ".join(one.alpn)))
        texts.append(" ".join([one.name, *(f"{word} {what}" for word, what in said if what)]))
    return _list(texts)


_ROWS: tuple[_ROW, ...] = (
    ("who serves", lambda one: one.provider, (_HELD,)),
    ("shield", lambda one: "on" if one.shield else "off", (_HELD,)),
    ("IPv4", lambda one: one.ipv4_mode, (_HELD,)),
    ("IPv6", lambda one: one.ipv6_mode, (_HELD, _ADVERTISED)),
    ("IPv4 addresses", lambda one: _list(one.ipv4), (_LEASED4,)),
    ("IPv6 addresses", lambda one: _list(each.ip for each in one.ipv6), (_LEASED6,)),
    ("IPv6 prefixes", lambda one: _list(each.network for each in one.ipv6), (_ADVERTISED,)),
    ("delegated prefixes", lambda one: _list(one.delegated), (_LEASED6,)),
    ("IPv4 routes", lambda one: _routes(one, 4), (_LEASED4,)),
    ("IPv6 routes", lambda one: _routes(one, 6), (_ADVERTISED,)),
    ("preference", lambda one: one.preference, (_ADVERTISED,)),
    ("MTU", lambda one: one.mtu, (_ADVERTISED, _LEASED4)),
    ("IPv4 name servers", lambda one: _of_family(one.dns, 4), (_LEASED4,)),
    ("IPv6 name servers", lambda one: _of_family(one.dns, 6), (_ADVERTISED, _LEASED6)),
    ("search domains", lambda one: _list(one.search), (_ADVERTISED, _LEASED4, _LEASED6)),
    ("IPv4 time servers", lambda one: _of_family(one.ntp, 4), (_LEASED4,)),
    ("IPv6 time servers", lambda one: _of_family(one.ntp, 6), (_LEASED6,)),
    ("time servers by name", lambda one: _list(one.ntp_names), (_LEASED6,)),
    ("encrypted DNS", _resolvers, (_ADVERTISED, _LEASED4, _LEASED6)),
    (
        "time zone",
        lambda one: _list(filter(None, (one.time_zone.tzdb, one.time_zone.posix))),
        (_LEASED4, _LEASED6),
    ),
    ("host name", lambda one: one.hostname or "none", (_LEASED4, _LEASED6)),
    ("lease", lambda one: one.lease_text, (_LEASED4, _LEASED6)),
    (
        "captive portal",
        lambda one: one.captive_portal or "none",
        (_ADVERTISED, _LEASED4, _LEASED6),
    ),
    ("NAT64 prefix", lambda one: one.pref64 or "none", (_ADVERTISED,)),
    ("ipv6Only", lambda one: "none" if one.ipv6_only is None else one.ipv6_only, (_LEASED4,)),
    ("network boot", _boot, (_AT_BOOT,)),
    ("cloudInit", lambda one: one.cloud_init, (_AT_BOOT,)),
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What changes for one NIC; each text names what is new and what was before."""

    now: tuple[str, ...]
    """In force at once: the guest need not be told, or a router advertisement has told it."""
    renewal: tuple[str, ...]
    """Told by DHCP when the guest asks next."""
    boot: tuple[str, ...]
    never: tuple[str, ...]
    """Not while the VM runs, with the remedy."""
    renews: str
    """When the guest asks next."""


def changes(before: GuestNetwork, after: GuestNetwork, warnings: Iterable[str] = ()) -> Changes:
    """Return what of the NIC has changed, by when its guest learns of it."""
    means = {_HELD, _AT_BOOT, *_means(before), *_means(after)}
    found: dict[str, list[str]] = {way: [] for way in ("now", "renewal", "boot")}
    for name, value, ways in _ROWS:
        old, new = str(value(before)), str(value(after))
        if old == new:
            continue
        text = f"{name}: {new} (was {old})"
        leased = [way for way in ways if way in means and way in (_LEASED4, _LEASED6)]
        if _ADVERTISED in ways and _ADVERTISED in means:
            found["now"].append(f"{text}, by RA")
        elif _HELD in ways:
            found["now"].append(text)
        if leased:
            found["renewal"].append(f"{text}, by {' and '.join(leased)}")
        if _AT_BOOT in ways:
            found["boot"].append(text)
    never = list(warnings)
    if after.mtu > before.mtu:
        never.append(
            f"MTU {after.mtu} is more than the VM's NIC may have been started with ({before.mtu}): "
            "restart the VM if the guest does not take it"
        )
    if after.provider == "off" != before.provider:
        never.append(
            "what the guest was told it keeps, for nobody may speak to it now: take its link down "
            "and up, or reboot it"
        )
    lists = {way: tuple(texts) for way, texts in found.items()}
    return Changes(**lists, never=tuple(never), renews=_renews(before))


def _means(guest: GuestNetwork) -> set[str]:
    """Return how this guest is told anything by us."""
    if guest.provider in ("kube-ovn", "off"):
        return set()
    return {
        *([_LEASED4] if guest.gets_ipv4 or guest.ipv6_only is not None else []),
        *([_ADVERTISED] if guest.gets_ipv6 else []),
        *([_LEASED6] if guest.gets_ipv6 and (guest.has_dhcp6 or guest.delegated) else []),
    }


def _renews(before: GuestNetwork) -> str:
    remedy = "reboot it, renew the lease in it, or set the interface's state down and up"
    if before.lease is None:
        return f"its leases are infinite, so it asks when its link comes up: {remedy}"
    return f"within {before.lease // 2} s, half of its lease; sooner: {remedy}"


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values)) or "none"


def _of_family(addresses: Iterable[object], version: int) -> str:
    return _list(one for one in addresses if getattr(one, "version", 0) == version)


def _routes(guest: GuestNetwork, version: int) -> str:
    return _list(
        f"{one.destination} via {one.gateway}" if one.gateway else f"{one.destination} on-link"
        for one in guest.routes
        if one.destination.version == version
    )
