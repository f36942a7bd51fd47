"""Header compression of HTTP/2 (RFC 7541): reads any header block, writes plain literals. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

Field = tuple[bytes, bytes]

_STATIC_TEXT = """
:authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https
:status=200|:status=204|:status=206|:status=304|:status=400|:status=404|:status=500
accept-charset|accept-encoding=gzip, deflate|accept-language|accept-ranges|accept
access-control-allow-origin|age|allow|authorization|cache-control|content-disposition
content-encoding|content-language|content-length|content-location|content-range|content-type|cookie
date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range
if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization
range|referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding
user-agent|vary|via|www-authenticate
"""
_STATIC: tuple[Field, ...] = tuple(
    (name.encode(), value.encode())
    for line in _STATIC_TEXT.split("\n")[1:-1]
    for name, _, value in (entry.partition("=") for entry in line.split("|"))
)
"""Appendix A, from index 1 on."""
_OVERHEAD = 32
"""Octets that an entry of the dynamic table counts beside its text (section 4.1)."""
_LARGEST_TABLE = 4096
"""Octets of the dynamic table: we announce no other SETTINGS_HEADER_TABLE_SIZE."""
_LONGEST_NUMBER = 5
"""Octets; no length or index of ours needs more."""
NO_TABLE = b"\x20"
"""Sets the size of the dynamic table to 0 (section 6.3)."""
_EOS = 256
_CODE_LENGTHS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b"
    "080606060505050606060606060607080f060c0a0d06070707070707070707070707070707070707070707070807"
    "080d130d0e060f05060506050606060507070606060506070605050607070707070f0b0e0d1c1416141416161617"
    "16171717171718171818161718171717171516171617171816151416161717151716161815161717151516151716"
    "171714161616171616171a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b14181415"
    "161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a1e"
)
"""Bits of the code of each octet and of the end of a string (Appendix B)."""


class HpackError(ValueError):
    """The octets are no header block of this connection."""


class Decoder:
    """Reads the header blocks of one connection, in their order."""

    def __init__(self) -> None:
        self._dynamic: deque[Field] = deque()
        self._used = 0
        self._limit = _LARGEST_TABLE

    def decode(self, block: bytes) -> list[Field]:
        """Return the header fields. Raises HpackError."""
        fields: list[Field] = []
        at = 0
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _number(block, at, 7)
                fields.append(self._entry(index))
            elif first & 0xE0 == 0x20:
                limit, at = _number(block, at, 5)
                if limit > _LARGEST_TABLE:
                    raise HpackError("a dynamic table larger than we offered")
                if fields:  # section 4.2
                    raise HpackError("a size of the dynamic table behind a field")
                self._limit = limit
                self._evict()
            else:
                is_kept = bool(first & 0x40)
                index, at = _number(block, at, 6 if is_kept else 4)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, at = _string(block, at)
                value, at = _string(block, at)
                fields.append((name, value))
                if is_kept:
                    self._keep((name, value))
        return fields

    def _entry(self, index: int) -> Field:
        if 0 < index <= len(_STATIC):
            return _STATIC[index - 1]
        if 0 < index <= len(_STATIC) + len(self._dynamic):
            return self._dynamic[index - len(_STATIC) - 1]
        raise HpackError(f"no header field has the index {index}")

    def _keep(self, field: Field) -> None:
        self._dynamic.appendleft(field)
        self._used += _size(field)
        self._evict()

    def _evict(self) -> None:
        while self._used > self._limit:
            self._used -= _size(self._dynamic.pop())


def encode(fields: Iterable[Field]) -> bytes:
    """Return a header block that leaves the peer's dynamic table as it is."""
    return b"".join(b"\0" + _plain(name) + _plain(value) for name, value in fields)


def _size(field: Field) -> int:
    return len(field[0]) + len(field[1]) + _OVERHEAD


def _plain(text: bytes) -> bytes:
    length = len(text)
    if length < 0x7F:
        return bytes((length,)) + text
    octets, length = bytearray((0x7F,)), length - 0x7F
    while length >= 0x80:
        octets.append(0x80 | length & 0x7F)
        length >>= 7
    return bytes((*octets, length)) + text


def _number(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """Return an integer with a prefix of so many bits (section 5.1), and where it ends."""
    try:
        value = block[at] & ((1 << bits) - 1)
        at += 1
        if value < (1 << bits) - 1:
            return value, at
        for place in range(_LONGEST_NUMBER):
            octet = block[at + place]
            value += (octet & 0x7F) << (7 * place)
            if not octet & 0x80:
                return value, at + place + 1
    except IndexError:
        raise HpackError("a header block that ends early") from None
    raise HpackError("a number that is too large")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    is_coded = at < len(block) and bool(block[at] & 0x80)
    length, at = _number(block, at, 7)
    text = block[at : at + length]
    if len(text) < length:
        raise HpackError("a header block that ends early")
    return (_uncoded(text) if is_coded else text), at + length


def _uncoded(text: bytes) -> bytes:
    """Decode Huffman's code (section 5.2)."""
    found = bytearray()
    code, length = 1, 0  # a leading one, so that codes of any length differ
    for octet in text:
        for bit in range(7, -1, -1):
            code, length = code << 1 | octet >> bit & 1, length + 1
            symbol = _SYMBOLS.get(code)
            if symbol == _EOS:
                raise HpackError("the end of a string inside it")
            if symbol is not None:
                found.append(symbol)
                code, length = 1, 0
    if length > 7 or code != (1 << length + 1) - 1:
        raise HpackError("a string with false padding")
    return bytes(found)


def _symbols() -> dict[int, int]:
    """Return what each code means: the code is canonical, its lengths say all."""
    symbols: dict[int, int] = {}
    code, before = 0, 0
    for length, symbol in sorted(zip(_CODE_LENGTHS, range(_EOS + 1), strict=True)):
        code <<= length - before
        symbols[1 << length | code] = symbol
        code, before = code + 1, length
    return symbols


_SYMBOLS = _symbols()
