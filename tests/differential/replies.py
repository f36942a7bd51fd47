"""A reply in few words: what a client makes of it, without what each server sets its way."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from tests.differential import request4, request6

_TYPES4 = {2: "OFFER", 5: "ACK", 6: "NAK"}
_TYPES6 = {2: "ADVERTISE", 7: "REPLY"}
_STATUS = ("Success", "UnspecFail", "NoAddrsAvail", "NoBinding", "NotOnLink", "UseMulticast", "NoPrefixAvail")  # fmt: skip  # noqa: E501  # one value, one line


def number4(frame: bytes) -> int | None:
    """Return the transaction id of a DHCPv4 reply."""
    if frame[12:14] == b"\x08\0" and frame[34:38] == b"\0\x43\0\x44":
        return int.from_bytes(frame[46:50], "big")
    return None


def number6(frame: bytes) -> int | None:
    """Return the transaction id of a DHCPv6 reply."""
    if frame[12:14] == b"\x86\xdd" and frame[20] == 17 and frame[54:58] == b"\x02\x23\x02\x22":
        return int.from_bytes(frame[63:66], "big")
    return None


def is_ra(frame: bytes, source: bytes) -> bool:
    """Say whether it is the RA to a solicitation from there, not one that is sent unasked."""
    is_nd = frame[12:14] == b"\x86\xdd" and frame[54:55] == b"\x86"
    return is_nd and (frame[38:54] == source or source == bytes(16))


def words4(frame: bytes) -> str:
    """Name type, address, the way to the client, and the client id if it is repeated."""
    bootp = frame[42:]
    options = dict(_options4(bootp[240:]))
    kind = _TYPES4.get(options.get(53, b"\0")[0], "?")
    named = {request4.OURS: "ours", request4.OTHER: "another", request4.NOBODY: "no address"}
    address = named.get(bootp[16:20], "of the pool")
    way = "broadcast" if IPv4Address(frame[30:34]) == IPv4Address("255.255.255.255") else "unicast"
    said = [kind, address, way]
    said += ["lease"] * (address == "no address" and 51 in options)
    said += ["client id"] * (61 in options)
    said += ["committed"] * (80 in options)
    return ", ".join(said)


def _options4(area: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + 1 < len(area) and area[at] != 255:
        if area[at] == 0:
            at += 1
            continue
        found.append((area[at], area[at + 2 : at + 2 + area[at + 1]]))
        at += 2 + area[at + 1]
    return found


def options6(area: bytes) -> list[tuple[int, bytes]]:
    found = []
    while len(area) >= 4:
        code, length = struct.unpack_from("!HH", area)
        found.append((code, area[4 : 4 + length]))
        area = area[4 + length :]
    return found


def words6(frame: bytes) -> str:
    """Name type and, for each IA and for the whole, addresses and status."""
    payload = frame[62:]
    said = [_TYPES6.get(payload[0], "?")]
    for code, data in options6(payload[4:]):
        if code in (3, 4, 25):
            inside = options6(data[{3: 12, 4: 4, 25: 12}[code] :])
            parts = sorted({_ia(kind, value) for kind, value in inside})
            said.append({3: "NA", 4: "TA", 25: "PD"}[code] + f"({' '.join(parts)})")
        elif code == 13 and data[:2] != bytes(2):  # Success is what no status says (RFC 8415)
            said.append(_status(data))
        elif code == 14:
            said.append("committed")
    return ", ".join([said[0], *sorted(said[1:])])


def _ia(kind: int, value: bytes) -> str:
    if kind == 13:
        return _status(value)
    if kind != 5:
        return str(kind)
    named = {request6.OURS: "ours", request6.OTHER: "another", request6.ELSEWHERE: "elsewhere"}
    gone = "-" if value[20:24] == bytes(4) else ""
    return gone + named.get(value[:16], "pool")


def _status(data: bytes) -> str:
    code = int.from_bytes(data[:2], "big")
    return _STATUS[code] if code < len(_STATUS) else str(code)
