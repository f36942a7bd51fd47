"""What the answer to a DHCPv6 message depends on. Pure.

Clients ask the same in many forms: with another elapsed time or vendor class, in another order.
Messages of equal meaning get the same answer, but for the transaction id: it is built from a
message that says nothing but the meaning, so it cannot depend on what that leaves out.
"""

from __future__ import annotations

import struct

from dhcp.boot_clients import FIRMWARE_LENGTH, HTTP, PXE
from dhcp.v6_message import (
    ARCHITECTURES,
    CLIENT_ID,
    FQDN,
    IA_NA,
    IA_PD,
    IA_TA,
    NAMES,
    ORO,
    RAPID_COMMIT,
    SERVER_ID,
    USER_CLASS,
    VENDOR_CLASS,
    MalformedError,
    checked,
)
from dhcp.v6_options import KNOWN

TRANSACTION = slice(1, 4)
_WHOLE = frozenset(
    (CLIENT_ID, SERVER_ID, IA_NA, IA_TA, IA_PD, RAPID_COMMIT, USER_CLASS, FQDN, ARCHITECTURES)
)
"""With ORO and VENDOR_CLASS, every option that dhcp.v6 reads; of FQDN, only its flags."""
_CLASS = slice(6, 6 + FIRMWARE_LENGTH)
"""In a Vendor Class option: the class of firmware, behind enterprise number and length."""

Meaning = tuple[int, tuple[tuple[int, bytes], ...], frozenset[int], bytes]
"""Message type, options, options that are asked for, vendor class of a firmware."""


def meaning(payload: bytes) -> Meaning | None:
    """Return what an answer can depend on; None where only the reader can say what is wrong."""
    if len(payload) < 4 or payload[0] not in NAMES:
        return None
    try:
        options = checked(payload[4:])
    except MalformedError:
        return None
    said: list[tuple[int, bytes]] = []
    asked: frozenset[int] = frozenset()
    vendor: bytes | None = None
    for one in options:
        code, data = one
        if code in _WHOLE:
            said.append((code, data[:1]) if code == FQDN else one)
        elif code == ORO:
            count = len(data) // 2
            asked |= KNOWN.intersection(struct.unpack_from(f"!{count}H", data))
        elif code == VENDOR_CLASS and vendor is None:  # the first is the one that counts
            vendor = data[: _CLASS.stop] if data[_CLASS].startswith((HTTP, PXE)) else b""
    return payload[0], tuple(said), asked, vendor or b""


def request(meant: Meaning) -> bytes:
    """Return the message that says nothing but this, with transaction id 0."""
    kind, said, asked, vendor = meant
    options = [*said]
    if asked:
        options.append((ORO, struct.pack(f"!{len(asked)}H", *sorted(asked))))
    if vendor:
        options.append((VENDOR_CLASS, vendor))
    parts = (struct.pack("!HH", code, len(data)) + data for code, data in options)
    return bytes((kind, 0, 0, 0)) + b"".join(parts)
