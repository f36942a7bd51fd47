"""The settings by which frames of a bridge pass the rules of iptables and ip6tables."""

from __future__ import annotations

from contextlib import suppress

AT_A_LINK = " at a link"
"""Behind the name of a chain of the family inet that hooks into a link."""
_SETTINGS = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables")


def is_at_links(chain: str) -> bool:
    """Say whether frames of a bridge pass a chain that plumb has named, whatever is set here."""
    return chain.startswith(("table bridge ", "table netdev ")) or f"{AT_A_LINK}: " in chain


def that_are_on() -> tuple[str, ...]:
    """Return the names of those that are 1; none where br_netfilter is not loaded."""
    found: list[str] = []
    for name in _SETTINGS:
        path = f"/proc/sys/net/bridge/{name}"
        with suppress(OSError), open(path) as setting:  # noqa: PTH123  # the sidecar has no pathlib
            if setting.read().strip() == "1":
                found.append(name)
    return tuple(found)
