"""Judges why a guest has not asked for its address of one family by DHCP. Pure."""

from __future__ import annotations

from binding.ipc.status import Finding, GuestStatus
from binding.operator.look import Look
from binding.operator.protocols import KINDS
from binding.operator.remedies import finding

MANY_BEGINNINGS = 3
"""Times that a client begins anew before it is said not to take the answer."""
_NAMES = {"ipv4": "DHCPv4", "ipv6": "DHCPv6"}


def never_asked(guest: GuestStatus, look: Look, family: str, lacks: str) -> Finding | None:
    """Return the cause; None where it is said with the links. `lacks` is what the guest lacks."""
    tap = look.links.get(guest.tap)
    if tap is None or not tap.carrier or not tap.up:
        return None
    text, anchor = _cause(guest, look, family)
    return finding("harm", f"{text}, {lacks}", anchor)


def _cause(guest: GuestStatus, look: Look, family: str) -> tuple[str, str]:
    """Return text and anchor."""
    if family == "ipv6" and guest.asked.keys() & {"RS", "INFORMATION-REQUEST"}:
        return _no_solicit(guest)
    other = next(name for name in KINDS if name != family)
    if any(kind in guest.asked for kind in KINDS[other]):
        text = f"the guest has never asked by {_NAMES[family]}, though it has by IPv{other[-1]}"
        addresses = look.traffic_of(guest).sources.values()
        six = [one for one in addresses if one.version == 6]
        if family == "ipv6" and six:
            return f"neither RS nor DHCPv6, but frames from {six[0]}", "no-rs"
        return text, "no-dhcp4-client" if family == "ipv4" else "no-ipv6-in-guest"
    if sources := ", ".join(look.traffic_of(guest).sources):
        return f"neither DHCP nor RS, but frames from {sources}", "never-asked"
    return f"the guest has never asked by {_NAMES[family]}", "never-asked"


def _no_solicit(guest: GuestStatus) -> tuple[str, str]:
    if "RS" not in guest.asked:
        return "the guest asks DHCPv6 for options only, not for an address", "no-dhcp6-client"
    if guest.asked["RS"].count >= MANY_BEGINNINGS:
        text = "RS again and again, each answered by an RA, and no SOLICIT: the guest does not take"
        return f"{text} the RA", "ra-not-taken"
    return "RS, but no SOLICIT: the guest has no DHCPv6 client", "no-dhcp6-client"
