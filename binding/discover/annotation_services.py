"""The servers and the time zone that an annotation's keys may name.

As in `annotation_values`: a JSON value goes in, ValueError says what is allowed.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

from binding.discover import dns_name
from binding.discover.annotation_addresses import addresses
from binding.discover.annotation_values import ascii_text, integer, list_of, text_of
from guest import dns_label
from guest.network import Address, EncryptedDns, TimeZone

_ALPN = ("dot", "doq", "h2", "h3")
_OVER_HTTP = {"h2", "h3"}
_MOST_RESOLVERS = 8
_MOST_ADDRESSES = 8
_RESOLVER = (
    'write a list such as [{"name": "dns.example", "addresses": ["10.0.0.53", "fd00::53"], '
    '"alpn": ["dot"]}]'
)
_KEYS = {"name", "addresses", "alpn", "port", "dohpath"}
_ZONE = 'write an object such as {"tzdb": "Europe/Berlin", "posix": "CET-1CEST,M3.5.0,M10.5.0/3"}'
_TZDB = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_DOHPATH = "dohpath: write a path with the variable dns such as /dns-query{?dns}"


def time_servers(value: Any) -> tuple[Address | str, ...]:
    """Allow addresses of servers and, for DHCPv6, names."""
    return list_of(
        value, 'write a list of addresses or names such as ["10.0.0.10", "ntp.example"]', _server
    )


def time_zone(value: Any) -> TimeZone:
    """Allow a name of the TZ database, a POSIX TZ string, or both (RFC 4833)."""
    if not isinstance(value, dict) or not value or not value.keys() <= {"tzdb", "posix"}:
        raise ValueError(_ZONE)
    tzdb, posix = (ascii_text(value.get(key, "")) for key in ("tzdb", "posix"))
    if (tzdb and not _TZDB.fullmatch(tzdb)) or not (tzdb or posix):
        raise ValueError(_ZONE)
    return TimeZone(tzdb, posix)


def encrypted_dns(value: Any) -> tuple[EncryptedDns, ...]:
    """Allow resolvers by name, with addresses and what they speak, or by name alone."""
    if isinstance(value, list) and len(value) > _MOST_RESOLVERS:
        raise ValueError(f"{_RESOLVER}, of {_MOST_RESOLVERS} at most")
    if not isinstance(value, list):
        raise ValueError(_RESOLVER)  # noqa: TRY004  # one error for what is not allowed
    return tuple(map(_resolver, value))


def _server(value: Any) -> Address | str:
    text = text_of(value)
    try:
        ip_address(text)
    except ValueError:
        return _name(text)
    return addresses([text])[0]


def _name(text: str) -> str:
    """Return a DNS name; one of digits alone is a mistyped address."""
    name = dns_name.valid(text)
    if not dns_label.encode(name) or not re.search("[a-z]", name.rpartition(".")[2]):
        raise ValueError(text)
    return name


def _resolver(value: Any) -> EncryptedDns:
    if not isinstance(value, dict) or not {"name"} <= value.keys() <= _KEYS:
        raise ValueError(_RESOLVER)
    try:
        name = _name(text_of(value["name"]))
    except ValueError:
        raise ValueError(f"name: write a DNS name; {_RESOLVER}") from None
    given = addresses(value.get("addresses", []))
    alpn = tuple(value["alpn"]) if isinstance(value.get("alpn"), list) else ()
    if len(given) > _MOST_ADDRESSES:
        raise ValueError(f"addresses: write {_MOST_ADDRESSES} at most")
    if bool(given) != bool(alpn) or (not given and value.keys() != {"name"}):
        raise ValueError(f"addresses and alpn: write both, or a name alone; {_RESOLVER}")
    if any(one not in _ALPN for one in alpn) or len(set(alpn)) < len(alpn):
        raise ValueError(f"alpn: write a list of {', '.join(_ALPN)}")
    path = ascii_text(value.get("dohpath", ""))
    if bool(path) != bool(_OVER_HTTP & set(alpn)) or (path and not _is_dohpath(path)):
        raise ValueError(f"{_DOHPATH}, with alpn h2 or h3 and only then")
    port = integer(1, 65535)(value["port"]) if "port" in value else None
    return EncryptedDns(name, given, alpn, port, path)


def _is_dohpath(path: str) -> bool:
    return path.startswith("/") and bool(re.search(r"\{[?&]?dns\}", path))
