"""A user's changes of a NIC as JSON: annotation `dsbridge.io/<network>`, DSBRIDGE_DEFAULTS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from ipaddress import IPv6Network
from typing import Any, Literal

from binding.discover import annotation_addresses as addresses
from binding.discover import annotation_services as services
from binding.discover import annotation_values as values
from binding.discover.annotation_boot import boot
from guest.network import (
    Address,
    Boot,
    CloudInit,
    EncryptedDns,
    IPInterface,
    Preference,
    Provider,
    Route,
    TimeZone,
)

PREFIX = "dsbridge.io/"
DEFAULTS = "DSBRIDGE_DEFAULTS"
_LEAST_IPV6_MTU = 1280


class OverrideError(ValueError):
    """The JSON cannot be used; the text names annotation, key, value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Override:
    """What the guest is told instead of what the pod has. None: as the pod has it."""

    provider: Provider | None = None
    ipv4: Literal["dhcp", "off"] | None = None
    ipv6: Literal["dhcp", "slaac", "both", "off"] | None = None
    addresses: tuple[IPInterface, ...] | None = None
    """Instead of the pod's addresses, whose connected subnets then count no more. The pod's
    gateways stay."""
    gateways: tuple[Address, ...] | None = None
    """At most one per family, for the default route of that family."""
    dns: tuple[Address, ...] | None = None
    search: tuple[str, ...] | None = None
    ntp: tuple[Address | str, ...] | None = None
    encrypted_dns: tuple[EncryptedDns, ...] | None = None
    time_zone: TimeZone | None = None
    routes: tuple[Route, ...] | None = None
    """Instead of all routes of the pod but its default routes."""
    mtu: int | None = None
    lease: int | Literal["infinite"] | None = None
    """Seconds."""
    default_route: bool | None = None
    preference: Preference | None = None
    """RFC 4191: of the IPv6 routes of this NIC among those of the guest's NICs."""
    delegate: tuple[IPv6Network, ...] | None = None
    """Prefixes that the administrator has routed to this guest."""
    hostname: str | None = None
    shield: bool | None = None
    boot: Boot | None = None
    pref64: IPv6Network | None = None
    captive_portal: str | None = None
    ipv6_only: int | None = None
    """Seconds."""
    cloud_init: CloudInit | None = None

    def over(self, defaults: Override) -> Override:
        """Return this with the defaults for every key that is not given here."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(defaults, **{name: v for name, v in given.items() if v is not None})


# JSON key: field of Override, function that makes the field of the JSON value or raises ValueError.
_KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "provider": ("provider", values.one_of("in-pod", "kube-ovn", "auto", "off")),
    "ipv4": ("ipv4", values.one_of("dhcp", "off")),
    "ipv6": ("ipv6", values.one_of("dhcp", "slaac", "both", "off")),
    "addresses": ("addresses", addresses.interfaces),
    "gateways": ("gateways", addresses.gateways),
    "dns": ("dns", addresses.addresses),
    "search": ("search", values.domains),
    "ntp": ("ntp", services.time_servers),
    "routes": ("routes", addresses.routes),
    "mtu": ("mtu", values.integer(68, 65535)),
    "lease": ("lease", values.lease),
    "defaultRoute": ("default_route", values.boolean),
    "preference": ("preference", values.one_of("high", "medium", "low")),
    "delegate": ("delegate", addresses.prefixes),
    "hostname": ("hostname", values.hostname),
    "shield": ("shield", values.boolean),
    "boot": ("boot", boot),
    "pref64": ("pref64", addresses.pref64),
    "captivePortal": ("captive_portal", values.uri),
    "ipv6Only": ("ipv6_only", values.integer(0, 2**32 - 1)),
    "encryptedDns": ("encrypted_dns", services.encrypted_dns),
    "timeZone": ("time_zone", services.time_zone),
    "cloudInit": ("cloud_init", values.one_of("dhcp", "static", "static-v1")),
}


def parse(text: str, source: str) -> Override:
    """Read one JSON object; `source` names it in an error. Raises OverrideError only."""
    try:
        given = json.loads(text, object_pairs_hook=values.unique)
    except (ValueError, RecursionError) as error:
        example = '{"ipv6": "slaac"}'
        raise OverrideError(f"{source}: not JSON ({error}); write e.g. {example}") from None
    if not isinstance(given, dict):
        raise OverrideError(f"{source}: must be a JSON object such as {{}}")
    parsed = {}
    for key, value in given.items():
        if key not in _KEYS:
            raise OverrideError(f"{source}: {_unknown(key)}")
        name, build = _KEYS[key]
        try:
            parsed[name] = build(value)
        except (ValueError, OverflowError) as error:
            shown = values.short(value)
            raise OverrideError(f"{source}: {key}: {shown} is not allowed; {error}") from None
    return Override(**parsed)


def parse_defaults(text: str) -> Override:
    """Read DSBRIDGE_DEFAULTS; an empty text changes nothing. Raises OverrideError."""
    defaults = parse(text, DEFAULTS) if text.strip() else Override()
    if defaults.delegate:
        raise OverrideError(
            f"{DEFAULTS}: delegate: a prefix belongs to one VM; write it in the VM's annotation "
            f"{PREFIX}<network>"
        )
    return defaults


def of_network(annotations: Mapping[str, str], network: str, defaults: Override) -> Override:
    """Return the network's annotation over the defaults. Raises OverrideError."""
    name = PREFIX + network
    if name not in annotations:
        return defaults
    return parse(annotations[name], f"annotation {name}").over(defaults)


def check_mtu(change: Override, network: str, addresses: Iterable[IPInterface]) -> None:
    """Refuse an MTU with which the guest's kernel turns IPv6 off. Raises OverrideError.

    `addresses` are the guest's. The least MTU of an IPv6 link is 1280 (RFC 8200 section 5).
    """
    if change.mtu is None or change.mtu >= _LEAST_IPV6_MTU or change.ipv6 == "off":
        return
    if any(address.version == 6 for address in addresses):
        raise OverrideError(
            f"annotation {PREFIX}{network} or {DEFAULTS}: mtu: {change.mtu} is not allowed with "
            f'IPv6; write {_LEAST_IPV6_MTU} or more, or "ipv6": "off"'
        )


def _unknown(key: str) -> str:
    near = get_close_matches(key[:64], _KEYS, n=1)
    advice = f"did you mean {near[0]}? " if near else ""
    return f"unknown key {values.short(key)}; {advice}Keys: {', '.join(_KEYS)}"
