"""Frozen dataclasses as JSON: how values cross from one of our processes to another."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_IP_PARSERS: dict[str, Callable[[str], Any]] = {
    "Address": ip_address,
    "Interface": ip_interface,
    "Network": ip_network,
}


def encode(value: object) -> str:
    """Return compact JSON of a dataclass (or a tuple of them)."""
    return json.dumps(_plain(value), separators=(",", ":"))


def decode(kind: type[T], text: str | bytes) -> T:
    """Rebuild the dataclass that encode() was given.

    Raises ValueError, TypeError or KeyError when the text is not one.
    """
    built: T = _build(kind, json.loads(text))
    return built


def _plain(value: Any) -> Any:  # noqa: ANN401  # JSON
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: Any, value: Any) -> Any:  # noqa: ANN401, PLR0911  # JSON; one return per sort of type
    origin = get_origin(kind)
    if origin is tuple:
        inner = get_args(kind)
        if inner[-1] is Ellipsis:
            return tuple(_build(inner[0], item) for item in value)
        return tuple(_build(one, item) for one, item in zip(inner, value, strict=True))
    if origin in (types.UnionType, Union):
        # Only `X | None` and unions of one sort of IP type occur.
        return None if value is None else _build(get_args(kind)[0], value)
    if hasattr(kind, "__dataclass_fields__"):
        hints = _hints(kind)
        return kind(**{name: _build(hints[name], item) for name, item in value.items()})
    if kind is bytes:
        return bytes.fromhex(value)
    if getattr(kind, "__module__", "") == "ipaddress":
        return _IP_PARSERS[kind.__name__[4:]](value)
    return value
