"""Frozen dataclasses as JSON: how values cross from one of our processes to another."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_IP_PARSERS: dict[str, Callable[[str], Any]] = {
    "Address": ip_address,
    "Interface": ip_interface,
    "Network": ip_network,
}


def encode(value: object) -> str:
    """Return compact JSON of a dataclass (or a tuple of them)."""
    return json.dumps(plain(value), separators=(",", ":"))


def decode(kind: type[T], text: str | bytes) -> T:
    """Rebuild the value that `encode` was given. Raises ValueError for any other text."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error
    return build(kind, value)


def build(kind: type[T], value: Any) -> T:
    """Rebuild the value of this type that `plain` was given. Raises ValueError for any other."""
    try:
        built: T = _build(kind, value)
    except (TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return built


def plain(value: Any) -> Any:
    """Return what json.dumps takes of a value that `build` can rebuild."""
    if (names := _names(value)) is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _names(value: object) -> tuple[str, ...] | None:
    """Return the fields of a dataclass or a named tuple, None of anything else."""
    if is_dataclass(value):
        return tuple(one.name for one in fields(value))
    return getattr(value, "_fields", None)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build_tuple(kinds: tuple[Any, ...], values: Any) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        return tuple(_build(kinds[0], item) for item in values)
    return tuple(_build(one, item) for one, item in zip(kinds, values, strict=True))


def _build(kind: Any, value: Any) -> Any:  # noqa: PLR0911  # one return per sort of type
    """Rebuild a value of this type; what is of type Any stays plain."""
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin is tuple:
        return _build_tuple(get_args(kind), value)
    if origin is dict:
        inner = get_args(kind)[1]
        return {key: _build(inner, item) for key, item in value.items()}
    if origin in (types.UnionType, Union):
        # Only `X | None` and unions of one sort of IP type occur.
        return None if value is None else _build(get_args(kind)[0], value)
    if hasattr(kind, "__dataclass_fields__") or hasattr(kind, "_fields"):
        hints = _hints(kind)
        return kind(**{name: _build(hints[name], item) for name, item in value.items()})
    if kind is bytes:
        return bytes.fromhex(value)
    if getattr(kind, "__module__", "") == "ipaddress":
        return _IP_PARSERS[kind.__name__[4:]](value)
    if origin is Literal:
        return get_args(kind)[get_args(kind).index(value)]
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise TypeError(f"{value!r:.60} is no {kind.__name__}")
    return value
