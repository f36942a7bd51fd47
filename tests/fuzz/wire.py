"""Frames put together and mended: lengths and checksums right, whatever is inside."""

from __future__ import annotations

import struct
from pathlib import Path

from guest.ethernet import ICMPV6, UDP, checksum

VECTORS = Path(__file__).parents[1] / "vectors"


def stored(*rooms: str) -> list[bytes]:
    """Return the frames of tests/vectors in these directories."""
    found = []
    for path in sorted(path for room in rooms for path in (VECTORS / room).glob("*.hex")):
        lines = path.read_text().splitlines()
        found.append(bytes.fromhex("".join(line for line in lines if line[0] != "#")))
    return found


def mended(frame: bytes) -> bytes:
    """Return the frame with the lengths and checksums that its octets ask for."""
    made = bytearray(frame)
    if made[12:14] == b"\x08\x00" and len(made) >= 42:
        header = max(20, (made[14] & 15) * 4)
        struct.pack_into("!H", made, 16, (len(made) - 14) & 0xFFFF)
        made[24:26] = bytes(2)
        struct.pack_into("!H", made, 24, checksum(bytes(made[14 : 14 + header])))
        _upper(made, 14 + header, made[26:34], UDP)
    elif made[12:14] == b"\x86\xdd" and len(made) >= 62:
        struct.pack_into("!H", made, 18, (len(made) - 54) & 0xFFFF)
        _upper(made, 54, made[22:54], made[20])
    return bytes(made)


def _upper(made: bytearray, at: int, ends: bytearray, protocol: int) -> None:
    if protocol not in (UDP, ICMPV6) or len(made) < at + 8:
        return
    place = at + 6 if protocol == UDP else at + 2
    if protocol == UDP:
        struct.pack_into("!H", made, at + 4, (len(made) - at) & 0xFFFF)
    made[place : place + 2] = bytes(2)
    segment = bytes(made[at:])
    pseudo = bytes(ends) + struct.pack("!II", len(segment), protocol)
    struct.pack_into("!H", made, place, checksum(pseudo + segment))


def payload_at(frame: bytes) -> int:
    """Return where the UDP payload, or the ICMPv6 message, begins."""
    if frame[12:14] == b"\x08\x00":
        return 42
    return 62 if frame[20:21] == bytes((UDP,)) else 54
