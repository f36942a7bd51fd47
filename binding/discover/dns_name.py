"""Host names and search domains that DNS can hold."""

from __future__ import annotations

from guest.dns_label import labels


def valid(name: object) -> str:
    """Return a name in lower case without its last dot. Raises ValueError for any other value."""
    if not isinstance(name, str):
        raise ValueError("not a string")  # noqa: TRY004  # one error for what is not a name
    if not labels(name):
        raise ValueError("not a DNS name")
    return name.lower().removesuffix(".")


def valid_names(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the valid names, each once, and those that DNS cannot hold."""
    good: dict[str, None] = {}
    bad = []
    for name in names:
        try:
            good[valid(name)] = None
        except ValueError:
            bad.append(name)
    return tuple(good), tuple(bad)
