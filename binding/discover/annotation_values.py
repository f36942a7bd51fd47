"""The plain values that an annotation's keys may have: words, numbers, texts, lists.

Each function takes the JSON value of one key and returns what `Override` holds; it raises
ValueError with a text that says what is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Literal, TypeVar

from binding.discover import dns_name
from binding.discover.json_node import scalar
from binding.discover.reserved import is_unusable

T = TypeVar("T")

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/?#@]*@)?"
    r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<host>[^/?#@:\[\]]+))(?::(?P<port>[0-9]{0,5}))?(?:[/?#]|$)",
    re.IGNORECASE,
)
_MOST = 256  # entries of a list; no message to a guest has room for more
_LEASE = 'write seconds from 20 to 4294967294, or "infinite"'
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

    def build(value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        raise ValueError(f"allowed: {', '.join(allowed)}")

    return build


def integer(low: int, high: int) -> Callable[[Any], int]:
    """Allow the integers of a range."""

    def build(value: Any) -> int:
        # bool is an int in Python, not in JSON.
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(f"write an integer from {low} to {high}")

    return build


def boolean(value: Any) -> bool:
    """Allow true and false."""
    if isinstance(value, bool):
        return value
    raise ValueError("write true or false")


def lease(value: Any) -> int | Literal["infinite"]:
    """Allow seconds or "infinite"; all ones are infinity on the wire (RFC 2131 section 3.3)."""
    if value == "infinite":
        return "infinite"
    try:
        return integer(20, 2**32 - 2)(value)
    except ValueError:
        raise ValueError(_LEASE) from None


def domains(value: Any) -> tuple[str, ...]:
    """Allow DNS names."""
    advice = 'write a list of DNS names such as ["ns.svc.cluster.local"]'
    return list_of(value, advice, dns_name.valid)


def hostname(value: Any) -> str:
    """Allow a host name, with domain or without."""
    try:
        return dns_name.valid(text_of(value))
    except ValueError:
        raise ValueError('write a host name such as "web-1"') from None


def uri(value: Any) -> str:
    """Allow an http(s) URI that fits into one DHCPv4 option, and the URN of RFC 8910."""
    text = text_of(value)
    if text == _UNRESTRICTED:
        return text
    if scheme(text) in ("http", "https") and _printable(text) and len(text) <= 255:
        return text
    raise ValueError('write "https://..." with a host, of at most 255 ASCII characters')


def scheme(url: str) -> str:
    """Return the scheme of a URL that names a host; empty where the text is none."""
    found = _URL.match(url)
    if found is None or int(found["port"] or 0) > 65535:
        return ""
    try:
        address = ip_address(found["six"] or found["host"])
    except ValueError:  # a name
        return "" if found["six"] else found["scheme"].lower()
    return "" if is_unusable(address) else found["scheme"].lower()


def list_of(value: Any, advice: str, build: Callable[[Any], T]) -> tuple[T, ...]:
    """Allow a list whose items `build` makes; `advice` is the error."""
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


def text_of(value: Any) -> str:
    """Allow strings."""
    # ip_address() takes an integer, which no user means.
    if not isinstance(value, str):
        raise ValueError("write a string")  # noqa: TRY004  # one error for what is not allowed
    return value


def ascii_text(value: Any) -> str:
    """Allow a string that is a file's name or a URI."""
    text = text_of(value)
    if len(text) > 255 or not (_printable(text) or not text):
        raise ValueError("write at most 255 printable ASCII characters")
    return text


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
