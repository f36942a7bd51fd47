"""The settings by which frames of a bridge pass rules for IPv4, IPv6 and ARP of the pod."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

AT_A_LINK = " at a link"
"""Behind the name of a chain of the family inet that hooks into a link."""
_SETTINGS = {
    "bridge-nf-call-iptables": ("table ip ", "table inet ", " of iptables-legacy: "),
    "bridge-nf-call-ip6tables": ("table ip6 ", "table inet ", " of ip6tables-legacy: "),
    "bridge-nf-call-arptables": ("table arp ", " of arptables-legacy: "),
}
"""Settings by which frames of a bridge pass chains that plumb names with one of these words."""


def is_at_links(chain: str) -> bool:
    """Say whether frames of a bridge pass a chain that plumb has named, whatever is set here."""
    return chain.startswith(("table bridge ", "table netdev ")) or f"{AT_A_LINK}: " in chain


def passed_by(chain: str, settings: Collection[str]) -> str:
    """Return the setting, of those that are on, by which frames of a bridge pass a chain."""
    return next((one for one in settings if any(word in chain for word in _SETTINGS[one])), "")


def that_are_on() -> tuple[str, ...]:
    """Return the names of those that are 1; none where br_netfilter is not loaded."""
    found: list[str] = []
    for name in _SETTINGS:
        path = f"/proc/sys/net/bridge/{name}"
        with suppress(OSError), open(path) as setting:  # noqa: PTH123  # the sidecar has no pathlib
            if setting.read().strip() == "1":
                found.append(name)
    return tuple(found)
