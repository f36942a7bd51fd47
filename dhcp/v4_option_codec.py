"""DHCPv4 options as bytes: read as DHCP servers read them, laid out within a size.

scapy's own option codec drops option 119, raises on more than 255 bytes and on
truncated options, so values are plain bytes here and scapy only frames them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from guest.dns_label import counted, labels

PAD = 0
OVERLOAD = 52
END = 255
FILE_SIZE = 128
SNAME_SIZE = 64
_ROUTES = frozenset({121, 249})
_LONGEST = 255  # bytes of one option's value (RFC 2132 section 2)
LENGTHS = {50: 4, OVERLOAD: 1, 53: 1, 54: 4, 57: 2, 80: 0}
"""Bytes of the options that are read and have one length only (RFC 2132, RFC 4039)."""
_WHOLE = frozenset({60, 61})  # class and client identifier: too short for any client to split
_UNAMBIGUOUS = frozenset({53, 54})  # two message types or two servers: no first one is meant


def decode(options: bytes, file: bytes, sname: bytes) -> dict[int, bytes]:
    """Return every option by number, as dnsmasq and Kea read the same bytes.

    Of an option that comes more than once the first with the right length counts; where no
    length is fixed, or none is right, or two message types or servers are named, its parts
    are joined (RFC 3396 section 7), which leaves the latter with a wrong length. A field
    may lack its end option. An option that runs over the end of its field ends the reading
    of that field; one of fixed length then counts as empty, which tells it from an absent one.
    """
    found: dict[int, bytes] = {}
    repeated: dict[int, list[bytes]] = {}
    _read_field(options, found, repeated)
    overload = found.get(OVERLOAD, b"")
    if OVERLOAD in repeated:
        overload = _of_parts(OVERLOAD, repeated[OVERLOAD])
    if len(overload) == 1:
        if overload[0] & 1:
            _read_field(file, found, repeated)
        if overload[0] & 2:
            _read_field(sname, found, repeated)
    for code, parts in repeated.items():
        found[code] = _of_parts(code, parts)
    return found


def _read_field(octets: bytes, found: dict[int, bytes], repeated: dict[int, list[bytes]]) -> None:
    at, size = 0, len(octets)
    while at < size:
        code = octets[at]
        if code == PAD:
            at += 1
            continue
        if code == END:
            return
        begin = at + 2
        at = begin + octets[begin - 1] if begin <= size else size + 1
        if at > size and not LENGTHS.get(code):
            return
        value = octets[begin:at] if at <= size else b""
        if code in found:
            repeated.setdefault(code, [found[code]]).append(value)
        else:
            found[code] = value


def _of_parts(code: int, parts: list[bytes]) -> bytes:
    """Return the value of an option that came more than once."""
    if code in _WHOLE:
        return next(filter(None, parts), b"")
    whole = [part for part in parts if len(part) == LENGTHS.get(code)]
    if not whole or (code in _UNAMBIGUOUS and len(set(whole)) > 1):
        return b"".join(parts)
    return whole[0]


@dataclass(frozen=True, slots=True)
class Shorter:
    """A value that says less, for where the whole one finds no room."""

    value: bytes
    left_out: str
    """What the shorter value leaves out, in words for the operator."""


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
    """What the shortened options leave out, in words."""

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
    overloads = fields_free and sum(_size(_cuts(*option)) for option in options) >= room
    main = _Area(room - 1 - (3 if overloads else 0))
    file = _Area(FILE_SIZE - 1 if overloads else 0)
    sname = _Area(SNAME_SIZE - 1 if overloads else 0)
    left_out = _fill(options, (main, file, sname), shorter)
    used = (1 if file.chunks else 0) | (2 if sname.chunks else 0)
    # Option 52 stands second: 53 leads. 0 is no value of it.
    overload = [(OVERLOAD, bytes([used]))] if used else []
    chunks = (*main.chunks[:1], *overload, *main.chunks[1:])
    return Packed(chunks, _field(file), _field(sname), *left_out)


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
    cuts = _cuts(code, value)
    size = _size(cuts)
    whole = next((area for area in areas if area.room >= size), None)
    if whole is None:
        return _split(code, value, areas)
    for cut in cuts:
        whole.put(code, cut)
    return True


def _cuts(code: int, value: bytes) -> list[bytes]:
    """Return the parts of at most 255 bytes that one option is sent in (RFC 3396)."""
    cuts = [value[: (end := _end(code, value, _LONGEST))]]
    while rest := value[end:]:
        value = rest
        cuts.append(value[: (end := _end(code, value, _LONGEST))])
    return cuts


def _size(cuts: Iterable[bytes]) -> int:
    return sum(2 + len(cut) for cut in cuts)


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
    if value or not cuts:
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


def domain_names(domains: Iterable[str]) -> bytes:
    """Encode domain names for option 119 (RFC 3397), compressed as in RFC 1035 section 4.1.4.

    A name that DNS cannot hold is left out.
    """
    encoded = bytearray()
    seen: dict[tuple[str, ...], int] = {}
    for domain in domains:
        found = labels(domain)
        for at in range(len(found)):
            suffix = tuple(label.lower() for label in found[at:])
            if suffix in seen:
                encoded += struct.pack("!H", 0xC000 | seen[suffix])
                break
            if len(encoded) < 0x4000:  # what a pointer can reach
                seen[suffix] = len(encoded)
            encoded += counted(found[at])
        else:
            encoded += b"\0" if found else b""
    return bytes(encoded)
