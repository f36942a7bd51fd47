"""DNS names as a guest may be told them."""

from __future__ import annotations

import re

# Hosts' letters, digits and hyphens (RFC 1123 section 2.1), and the underscore of service names.
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def valid(name: object) -> str:
    """Return a name in lower case without its last dot.

    Raises ValueError for what no DNS name is (RFC 1035 section 2.3.4: labels of at most
    63 octets, 255 octets on the wire).
    """
    if not isinstance(name, str):
        raise ValueError("not a string")  # noqa: TRY004  # one error for what is not a name
    text = name.lower().removesuffix(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError("not a DNS name")
    return text


def search_list(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the valid names, each once, and those that are none."""
    good: dict[str, None] = {}
    bad = []
    for name in names:
        try:
            good[valid(name)] = None
        except ValueError:
            bad.append(name)
    return tuple(good), tuple(bad)


def with_subdomain(search: tuple[str, ...], subdomain: str) -> tuple[str, ...]:
    """Put the domain of the VM's headless service first, as KubeVirt does.

    Kubernetes leaves it out of the pod's resolv.conf; it stands in front of the longest
    service domain.
    """
    services = [name for name in search if ".svc." in name]
    longest = max(services, key=len, default="")
    if not subdomain or not longest or longest.startswith(f"{subdomain}."):
        return search
    return (f"{subdomain}.{longest}", *search)
