"""What the annotation's key `boot` may have."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
from typing import Any

from binding.discover.annotation_values import ascii_text, list_of, scheme
from binding.discover.reserved import is_unusable
from guest.network import Boot

_KEYS = ("file", "server", "url", "parameters", "byArch", "urlByArch", "ipxe")
_ADVICE = f"write an object with {', '.join(_KEYS)}"


def boot(value: Any) -> Boot:
    """Allow network boot, for all architectures or by their number of RFC 4578 section 2.1."""
    if not isinstance(value, dict) or not value.keys() <= set(_KEYS):
        raise ValueError(_ADVICE)
    return Boot(
        file=_boot_text(value, "file"),
        server=_server(value),
        url=_url(value.get("url", ""), "url"),
        parameters=list_of(
            value.get("parameters", []), "parameters: write a list of strings", ascii_text
        ),
        by_arch=_by_arch(value, "byArch", "x.efi"),
        url_by_arch=tuple(
            (arch, _url(url, "urlByArch"))
            for arch, url in _by_arch(value, "urlByArch", "tftp://[fd00::9]/x.efi")
        ),
        ipxe=_boot_text(value, "ipxe"),
    )


def _server(value: dict[str, Any]) -> str:
    server = _boot_text(value, "server")
    try:
        address = IPv4Address(server)
    except AddressValueError:
        return server
    if is_unusable(address):
        raise ValueError(
            f"server: no host can have {server}; write the boot server's address or name"
        )
    return server


def _url(value: Any, key: str) -> str:
    url = _boot_text({key: value}, key)
    if url and not scheme(url):
        raise ValueError(f'{key}: write a URL with a host such as "tftp://[fd00::9]/x.efi"')
    return url


def _by_arch(value: dict[str, Any], key: str, example: str) -> tuple[tuple[int, str], ...]:
    given = value.get(key, {})
    if not isinstance(given, dict):
        raise ValueError(f'{key}: write an object such as {{"7": "{example}"}}')  # noqa: TRY004  # one error for what is not allowed
    return tuple((_architecture(arch, key), _boot_text(given, arch)) for arch in given)


def _boot_text(value: dict[str, Any], key: str) -> str:
    try:
        return ascii_text(value.get(key, ""))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _architecture(number: str, key: str) -> int:
    if not (number.isascii() and number.isdigit() and len(number) <= 5 and int(number) <= 65535):
        raise ValueError(f"{key}: write client architectures from 0 to 65535")
    return int(number)
