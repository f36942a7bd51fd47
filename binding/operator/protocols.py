"""Which protocol a message of the status object belongs to, and who sends it. Pure."""

from __future__ import annotations

_ANSWERS = {
    "OFFER": "dhcp4",
    "ACK": "dhcp4",
    "NAK": "dhcp4",
    "ADVERTISE": "dhcp6",
    "REPLY": "dhcp6",
    "RA": "nd",
    "NA": "nd",
    "ARP": "arp",
    "ARP reply": "arp",
}
_REQUESTS = {
    **dict.fromkeys(("DISCOVER", "REQUEST", "DECLINE", "RELEASE", "INFORM", "BOOTP"), "dhcp4"),
    **dict.fromkeys(("SOLICIT", "RENEW", "REBIND", "CONFIRM", "INFORMATION-REQUEST"), "dhcp6"),
    **dict.fromkeys(("RS", "NS"), "nd"),
    "ARP request": "arp",
}
_DHCPV6 = "DHCPv6 "
"""Stands before the messages whose names DHCPv4 has, too."""
KINDS = {
    "ipv4": ("DISCOVER", "REQUEST", "DECLINE", "RELEASE", "INFORM", "BOOTP"),
    "ipv6": (
        "SOLICIT", "DHCPv6 REQUEST", "RENEW", "REBIND", "CONFIRM", "DHCPv6 DECLINE",
        "DHCPv6 RELEASE", "INFORMATION-REQUEST", "RS",
    ),
}  # fmt: skip
"""Kinds of requests by family."""


def is_answer(message: str) -> bool:
    """Return whether dsbridge, not the guest, sends this message."""
    return message in _ANSWERS


def is_message(message: str) -> bool:
    """Return whether that is a message at all, not another counter such as `silence`."""
    return message in _ANSWERS or message in _REQUESTS or message.startswith(_DHCPV6)


def protocol(message: str) -> str:
    """Return dhcp4, dhcp6, nd or arp; empty for another counter."""
    if message.startswith(_DHCPV6):
        return "dhcp6"
    return _ANSWERS.get(message) or _REQUESTS.get(message, "")


def bare(message: str) -> str:
    """Return the name that the protocol itself has for a message."""
    return message.removeprefix(_DHCPV6)
