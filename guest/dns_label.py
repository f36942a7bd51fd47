"""DNS names on the wire (RFC 1035): which labels there are, and how a name is encoded."""

from __future__ import annotations

import re

# Hosts' letters, digits and hyphens (RFC 1123 section 2.1), and the underscore of service names.
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def labels(name: str) -> tuple[str, ...]:
    """Return the labels of a name, with or without its last dot; none for what is no DNS name.

    RFC 1035 section 2.3.4: labels of at most 63 octets, 255 octets on the wire.
    """
    found = tuple(name.removesuffix(".").split("."))
    if len(name) > 254 or not all(map(_LABEL.fullmatch, found)):
        return ()
    return found if sum(len(label) + 1 for label in found) < 255 else ()


def encode(name: str) -> bytes:
    """Encode a name as in RFC 1035 section 3.1, uncompressed; empty for what is no DNS name."""
    found = labels(name)
    return b"".join(map(counted, found)) + b"\0" if found else b""


def counted(label: str) -> bytes:
    """Return a label behind its length octet."""
    return bytes([len(label)]) + label.encode()
