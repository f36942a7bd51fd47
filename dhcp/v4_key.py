"""What the answer to a DHCPv4 request depends on. Pure.

Clients ask the same in many forms: with other seconds, vendor classes and host names, in another
order. Requests of equal meaning get the same answer, but for the transaction id: it is built from
a request that says nothing but the meaning, so it cannot depend on what that leaves out.
"""

from __future__ import annotations

from functools import lru_cache

from dhcp.boot_clients import FIRMWARE_LENGTH, HTTP, IPXE, PXE
from dhcp.v4_option_codec import END, OVERLOAD
from dhcp.v4_options import KNOWN
from dhcp.v4_request import COOKIE, HEADER, options_of

TRANSACTION = slice(4, 8)
_USUAL = 300  # octets of most requests (RFC 1542 section 2.1), with at most 60 of options
_LONGEST = 255
_CLASS_AND_LISTS = (55, 60, 77, 116, 175)
_WHOLE = (50, 53, 54, 57, 61, 80, 93)
"""Options of which every octet counts; with `_CLASS_AND_LISTS`, all that dhcp.v4 reads."""

Meaning = tuple[bytes | None, ...]


def meaning(payload: bytes) -> Meaning | None:
    """Return what an answer can depend on; None where only the reader can say what is wrong."""
    if payload[HEADER : HEADER + 4] != COOKIE:
        return None
    options = options_of(payload)
    # A longer value came in several parts (RFC 3396), which only v4_request.read joins.
    may_be_longer = len(payload) > _USUAL or OVERLOAD in options
    if may_be_longer and any(len(value) > _LONGEST for value in options.values()):
        return None
    value = options.get
    asked, vendor, user = value(55), value(60), value(77)
    if vendor is not None:
        vendor = vendor[:FIRMWARE_LENGTH] if vendor.startswith((HTTP, PXE)) else None
    if user is not None:
        user = IPXE if IPXE in user else None
    return (
        payload[:3],
        payload[10:16],  # flags and ciaddr
        payload[24:44],  # giaddr and chaddr
        _known(asked) if asked else asked,
        vendor,
        user,
        b"" if 116 in options else None,  # Auto-Configure
        b"" if 175 in options else None,  # iPXE's own
        *map(value, _WHOLE),
    )


def request(meant: Meaning) -> bytes:
    """Return the request that says nothing but this, with transaction id 0."""
    kind, flags, addresses, *values = (part or b"" for part in meant)
    header = kind + bytes(7) + flags + bytes(8) + addresses + bytes(64 + 128) + COOKIE
    options = bytearray()
    for code, said, value in zip((*_CLASS_AND_LISTS, *_WHOLE), meant[3:], values, strict=True):
        if said is not None:
            options += bytes((code, len(value))) + value
    return header + bytes(options) + bytes((END,))


@lru_cache(maxsize=64)  # a client's list is the same each time
def _known(codes: bytes) -> bytes:
    """Keep what some guest may be told. A list of nothing else is not the same as none."""
    return bytes(sorted(KNOWN.intersection(codes))) or b"\0"
