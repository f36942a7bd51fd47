"""DHCPv4 options as bytes: taken apart strictly, put together within a size.

scapy's own option codec drops option 119, raises on more than 255 bytes and on
truncated ones, so values are plain bytes here and scapy only frames them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

PAD = 0
OVERLOAD = 52
END = 255
FILE_SIZE = 128
SNAME_SIZE = 64
# Letters, digits, hyphens (RFC 1123) and the underscores that are in use.
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_ROUTES = frozenset({121, 249})
_LONGEST = 255  # bytes of one option's value (RFC 2132 section 2)


def decode(options: bytes, file: bytes, sname: bytes) -> dict[int, bytes] | None:
    """Return every option by number, split ones joined (RFC 3396 section 7).

    None when an option runs over its field, a field has no end option (RFC 2131
    section 4.1) or the overload option is wrong.
    """
    found: dict[int, bytes] = {}
    if not _decode_field(options, found):
        return None
    overload = found.get(OVERLOAD, b"\0")
    if len(overload) != 1 or overload[0] > 3:
        return None
    fields = [part for bit, part in ((1, file), (2, sname)) if overload[0] & bit]
    return found if all(_decode_field(part, found) for part in fields) else None


def _decode_field(octets: bytes, found: dict[int, bytes]) -> bool:
    at, size = 0, len(octets)
    while at < size:
        code = octets[at]
        if code == PAD:
            at += 1
            continue
        if code == END:
            return True
        begin = at + 2
        if begin > size:
            return False
        at = begin + octets[begin - 1]
        if at > size:
            return False
        value = octets[begin:at]
        found[code] = found[code] + value if code in found else value
    return False


@dataclass(frozen=True, slots=True)
class Shorter:
    """A value that says less, for where the whole one finds no room."""

    value: bytes
    left_out: str
    """What it does not say, in words for the operator."""


ShorterValues = Callable[[int], Iterable[Shorter]]
"""From an option's number to its shorter values, the longest first."""


def none_shorter(_: int) -> tuple[Shorter, ...]:
    """Return nothing: each option is sent whole or not at all."""
    return ()


@dataclass(slots=True)
class _Area:
    """One field of the message that options go into."""

    room: int
    chunks: list[tuple[int, bytes]] = field(default_factory=list)

    def put(self, code: int, value: bytes) -> None:
        self.chunks.append((code, value))
        self.room -= 2 + len(value)


@dataclass(frozen=True, slots=True)
class Packed:
    """Options laid out over the fields of one message."""

    options: tuple[tuple[int, bytes], ...]
    """For the options field, at most 255 bytes each; cookie and end not included."""
    file: bytes = b""
    """The file field, when options overload it; else empty."""
    sname: bytes = b""
    dropped: tuple[int, ...] = ()
    """Options that found no room anywhere."""
    shortened: tuple[str, ...] = ()
    """What others could not say, in words."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """All that found no room, in words."""
        codes = ", ".join(map(str, self.dropped))
        return (*self.shortened, f"option {codes}") if codes else self.shortened


def pack(
    options: Sequence[tuple[int, bytes]],
    room: int,
    *,
    fields_free: bool,
    shorter: ShorterValues = none_shorter,
) -> Packed:
    """Lay options out in their order, which is their order of worth.

    room: bytes of the options field after the cookie. Where that is too little and
    fields_free says that file and sname are not used for booting, they take what is
    left over (option 52). What still finds no room is sent as the first of its shorter
    values that does, or dropped.
    """
    alone = _Area(room - 1)
    left_out = _fill(options, [alone], shorter)
    if not any(left_out) or not fields_free:
        return Packed(tuple(alone.chunks), b"", b"", *left_out)
    main, file, sname = _Area(room - 1 - 3), _Area(FILE_SIZE - 1), _Area(SNAME_SIZE - 1)
    still_left_out = _fill(options, [main, file, sname], shorter)
    used = (1 if file.chunks else 0) | (2 if sname.chunks else 0)
    if not used:  # nothing that was left over fits there, and 0 is no value of option 52
        return Packed(tuple(alone.chunks), b"", b"", *left_out)
    # Second place: option 53 leads.
    chunks = (*main.chunks[:1], (OVERLOAD, bytes([used])), *main.chunks[1:])
    return Packed(chunks, _field(file), _field(sname), *still_left_out)


def _field(area: _Area) -> bytes:
    if not area.chunks:
        return b""
    return b"".join(bytes([code, len(v)]) + v for code, v in area.chunks) + bytes([END])


def _fill(
    options: Iterable[tuple[int, bytes]], areas: Sequence[_Area], shorter: ShorterValues
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Put each option where it fits, whole or shorter; return which were dropped or shortened."""
    dropped: list[int] = []
    shortened: list[str] = []
    for code, value in options:
        if _place(code, value, areas):
            continue
        fitting = (less for less in shorter(code) if _place(code, less.value, areas))
        if placed := next(fitting, None):
            shortened.append(placed.left_out)
        else:
            dropped.append(code)
    return tuple(dropped), tuple(shortened)


def _place(code: int, value: bytes, areas: Sequence[_Area]) -> bool:
    """Put one option into the first field that holds it whole, else across all of them."""
    cuts: list[bytes] = []
    rest = value
    while rest or not cuts:
        end = _end(code, rest, _LONGEST)
        cuts.append(rest[:end])
        rest = rest[end:]
    size = len(value) + 2 * len(cuts)
    whole = next((area for area in areas if area.room >= size), None)
    if whole is not None:
        for cut in cuts:
            whole.put(code, cut)
        return True
    return len(areas) > 1 and _split(code, value, areas)


def _split(code: int, value: bytes, areas: Sequence[_Area]) -> bool:
    """Spread one option over the fields in the order in which RFC 3396 joins them."""
    cuts: list[tuple[_Area, bytes]] = []
    for area in areas:
        room = area.room
        while value and room > 2:
            cut = value[: _end(code, value, min(_LONGEST, room - 2))]
            if not cut:
                break
            cuts.append((area, cut))
            value = value[len(cut) :]
            room -= 2 + len(cut)
    if value:
        return False
    for area, cut in cuts:
        area.put(code, cut)
    return True


def _end(code: int, value: bytes, most: int) -> int:
    """Return where a part of at most `most` bytes ends, between two routes where it has some.

    systemd-networkd before 254 reads each part on its own: half a route at the end of
    one made it give up the link.
    """
    if code not in _ROUTES or len(value) <= most:
        return min(most, len(value))
    at = 0
    while (after := at + 5 + (value[at] + 7) // 8) <= most:
        at = after
    return at


def classless(routes: Iterable[tuple[IPv4Network, IPv4Address]]) -> bytes:
    """Encode routes for option 121 (RFC 3442) and 249; gateway 0.0.0.0 means on-link."""
    return b"".join(
        bytes([destination.prefixlen])
        + destination.network_address.packed[: (destination.prefixlen + 7) // 8]
        + gateway.packed
        for destination, gateway in routes
    )


def names(domains: Iterable[str]) -> bytes:
    """Encode domain names for option 119 (RFC 3397), compressed as in RFC 1035 section 4.1.4.

    A name that DNS cannot hold is left out.
    """
    encoded = bytearray()
    seen: dict[tuple[str, ...], int] = {}
    for domain in domains:
        labels = tuple(domain.removesuffix(".").split("."))
        if not _valid(labels):
            continue
        for at in range(len(labels)):
            suffix = tuple(label.lower() for label in labels[at:])
            if suffix in seen:
                encoded += struct.pack("!H", 0xC000 | seen[suffix])
                break
            if len(encoded) < 0x4000:  # what a pointer can reach
                seen[suffix] = len(encoded)
            encoded += bytes([len(labels[at])]) + labels[at].encode()
        else:
            encoded += b"\0"
    return bytes(encoded)


def _valid(labels: tuple[str, ...]) -> bool:
    total = sum(len(label) + 1 for label in labels) + 1
    return total <= 255 and all(_LABEL.fullmatch(label) for label in labels)
