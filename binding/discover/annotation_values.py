"""The values that an annotation's keys may have.

Each function takes the JSON value of one key and returns what `Override` holds; it raises
ValueError with a text that says what is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from ipaddress import (
    IPv4Interface,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any, Literal, TypeVar

from binding.discover import dns_name
from binding.discover.json_node import scalar
from binding.discover.reserved import OURS, is_unusable, leads_nowhere
from guest.network import PREF64_LENGTHS, Address, Boot, Route

T = TypeVar("T")

_WITH_HOST = re.compile(r"https?://[^/?#@:]")
_MOST = 256  # entries of a list; no message to a guest has room for more
_LEASE = 'write seconds from 20 to 4294967294, or "infinite"'
_BOOT_KEYS = ("file", "server", "url", "parameters", "byArch", "urlByArch", "ipxe")
_BOOT = f"write an object with {', '.join(_BOOT_KEYS)}"
_UNRESTRICTED = "urn:ietf:params:capport:unrestricted"
"""RFC 8910 section 2: this network has no captive portal."""


class UnusableError(ValueError):
    """An address that no host or router can have."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object and refuse a key given twice: one of its values would be lost."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {short(key)} is given twice")
        found[key] = value
    return found


def short(value: object) -> str:
    """Return a value as JSON, of at most 80 characters, for an error."""
    shown = scalar(json.dumps(value, ensure_ascii=False))
    return shown if len(shown) <= 80 else shown[:77] + "..."


def one_of(*allowed: str) -> Callable[[Any], str]:
    """Allow some words only."""

    def build(value: Any) -> str:  # noqa: ANN401  # JSON
        if isinstance(value, str) and value in allowed:
            return value
        raise ValueError(f"allowed: {', '.join(allowed)}")

    return build


def integer(low: int, high: int) -> Callable[[Any], int]:
    """Allow the integers of a range."""

    def build(value: Any) -> int:  # noqa: ANN401  # JSON
        # bool is an int in Python, not in JSON.
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(f"write an integer from {low} to {high}")

    return build


def boolean(value: Any) -> bool:  # noqa: ANN401  # JSON
    """Allow true and false."""
    if isinstance(value, bool):
        return value
    raise ValueError("write true or false")


def lease(value: Any) -> int | Literal["infinite"]:  # noqa: ANN401  # JSON
    """Allow seconds or "infinite"; all ones are infinity on the wire (RFC 2131 section 3.3)."""
    if value == "infinite":
        return "infinite"
    try:
        return integer(20, 2**32 - 2)(value)
    except ValueError:
        raise ValueError(_LEASE) from None


def interfaces(value: Any) -> tuple[IPv4Interface | IPv6Interface, ...]:  # noqa: ANN401  # JSON
    """Allow addresses with their prefix length."""
    advice = 'write a list such as ["10.0.0.5/24", "fd00::5/64"]'
    built = _list(value, advice, _interface)
    for one in built:
        if not _is_host(one):
            raise ValueError(f"no host can have {one}; {advice}")
    if len({one.ip for one in built}) < len(built):
        raise ValueError(f"an address is given twice; {advice}")
    return built


def gateways(value: Any) -> tuple[Address, ...]:  # noqa: ANN401  # JSON
    """Allow one address per family."""
    advice = 'write at most one of each family, such as ["10.0.0.1", "fe80::1"]'
    built = _list(value, advice, _address)
    if len({one.version for one in built}) < len(built):
        raise ValueError(advice)
    for one in built:
        _not_ours(one)
    return built


def addresses(value: Any) -> tuple[Address, ...]:  # noqa: ANN401  # JSON
    """Allow addresses of servers."""
    return _list(value, 'write a list of addresses such as ["10.0.0.10", "fd00::10"]', _address)


def routes(value: Any) -> tuple[Route, ...]:  # noqa: ANN401  # JSON
    """Allow routes; one without `via` is on-link."""
    advice = 'write a list such as [{"to": "10.1.0.0/16", "via": "10.0.0.254"}]'
    built = _list(value, advice, _route)
    destinations = [str(one.destination) for one in built]
    for one in built:
        if leads_nowhere(one.destination):
            raise ValueError(f"no route leads to {one.destination}; {advice}")
        if destinations.count(str(one.destination)) > 1:
            raise ValueError(f"{one.destination} is given twice; {advice}")
        if one.gateway is not None:
            _not_ours(one.gateway)
    return built


def _not_ours(gateway: Address) -> None:
    if gateway in OURS:
        raise ValueError(f"{gateway} is dsbridge's own, at the guest's tap; write the router's")


def domains(value: Any) -> tuple[str, ...]:  # noqa: ANN401  # JSON
    """Allow DNS names."""
    advice = 'write a list of DNS names such as ["ns.svc.cluster.local"]'
    return _list(value, advice, dns_name.valid)


def hostname(value: Any) -> str:  # noqa: ANN401  # JSON
    """Allow a host name, with domain or without."""
    try:
        return dns_name.valid(_text(value))
    except ValueError:
        raise ValueError('write a host name such as "web-1"') from None


def uri(value: Any) -> str:  # noqa: ANN401  # JSON
    """Allow an http(s) URI that fits into one DHCPv4 option, and the URN of RFC 8910."""
    text = _text(value)
    if text == _UNRESTRICTED:
        return text
    if _WITH_HOST.match(text) and _printable(text) and len(text) <= 255:
        return text
    raise ValueError('write "https://..." with a host, of at most 255 ASCII characters')


def pref64(value: Any) -> IPv6Network:  # noqa: ANN401  # JSON
    """Allow a NAT64 prefix of a length that RFC 6052 knows."""
    advice = 'write an IPv6 prefix of length 32, 40, 48, 56, 64 or 96 such as "64:ff9b::/96"'
    try:
        network = IPv6Network(_text(value))
    except ValueError:
        raise ValueError(advice) from None
    if network.prefixlen not in PREF64_LENGTHS:
        raise ValueError(advice)
    return network


def boot(value: Any) -> Boot:  # noqa: ANN401  # JSON
    """Allow network boot, for all architectures or by their number of RFC 4578 section 2.1."""
    if not isinstance(value, dict) or not value.keys() <= set(_BOOT_KEYS):
        raise ValueError(_BOOT)
    return Boot(
        file=_boot_text(value, "file"),
        server=_boot_text(value, "server"),
        url=_boot_text(value, "url"),
        parameters=_list(
            value.get("parameters", []), "parameters: write a list of strings", _ascii
        ),
        by_arch=_by_arch(value, "byArch", "x.efi"),
        url_by_arch=_by_arch(value, "urlByArch", "tftp://[fd00::9]/x.efi"),
        ipxe=_boot_text(value, "ipxe"),
    )


def _by_arch(value: dict[str, Any], key: str, example: str) -> tuple[tuple[int, str], ...]:
    given = value.get(key, {})
    if not isinstance(given, dict):
        raise ValueError(f'{key}: write an object such as {{"7": "{example}"}}')  # noqa: TRY004  # one error for what is not allowed
    return tuple((_architecture(arch, key), _boot_text(given, arch)) for arch in given)


def _boot_text(value: dict[str, Any], key: str) -> str:
    try:
        return _ascii(value.get(key, ""))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _architecture(number: str, key: str) -> int:
    if not (number.isascii() and number.isdigit() and len(number) <= 5 and int(number) <= 65535):
        raise ValueError(f"{key}: write client architectures from 0 to 65535")
    return int(number)


def _list(value: Any, advice: str, build: Callable[[Any], T]) -> tuple[T, ...]:  # noqa: ANN401  # JSON
    if not isinstance(value, list):
        raise ValueError(advice)  # noqa: TRY004  # one error for what is not allowed
    if len(value) > _MOST:
        raise ValueError(f"{advice}, of {_MOST} at most")
    try:
        return tuple(build(item) for item in value)
    except UnusableError as error:
        raise ValueError(f"{error}; {advice}") from None
    except ValueError:
        raise ValueError(advice) from None


def _text(value: Any) -> str:  # noqa: ANN401  # JSON
    # ip_address() takes an integer, which no user means.
    if not isinstance(value, str):
        raise ValueError("write a string")  # noqa: TRY004  # one error for what is not allowed
    return value


def _ascii(value: Any) -> str:  # noqa: ANN401  # JSON
    text = _text(value)
    if len(text) > 255 or not (_printable(text) or not text):
        raise ValueError("write at most 255 printable ASCII characters")
    return text


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _is_host(one: IPv4Interface | IPv6Interface) -> bool:
    """Say whether a host can have this address: the likeliest mistake is to give the subnet."""
    if isinstance(one, IPv6Interface) and one.is_link_local:
        return False  # the guest makes its link-local address itself
    network = one.network
    if network.prefixlen == 0 or one.ip in OURS:
        return False
    edges = [network.network_address]
    if isinstance(one, IPv4Interface):
        edges.append(network.broadcast_address)
    # In /31 and /127 both ends are hosts' (RFC 3021, RFC 6164).
    return network.prefixlen >= network.max_prefixlen - 1 or one.ip not in edges


def _slash(value: Any) -> str:  # noqa: ANN401  # JSON
    text = _text(value)
    if "/" not in text or "%" in text:
        raise ValueError("write the prefix length, too, and no zone")
    return text


def _address(value: Any) -> Address:  # noqa: ANN401  # JSON
    return _unicast(ip_address(_text(value)))


def _interface(value: Any) -> IPv4Interface | IPv6Interface:  # noqa: ANN401  # JSON
    one = ip_interface(_slash(value))
    _unicast(one.ip)
    return one


def _unicast(address: Address) -> Address:
    if is_unusable(address):
        raise UnusableError(f"no host can have {address}")
    return address


def _route(value: Any) -> Route:  # noqa: ANN401  # JSON
    if not isinstance(value, dict) or not {"to"} <= value.keys() <= {"to", "via"}:
        raise ValueError("write to and via")
    to = ip_network(_text(value["to"]))
    via = _address(value["via"]) if "via" in value else None
    if via is not None and via.version != to.version:
        raise ValueError("write one family")
    return Route(to, via)
