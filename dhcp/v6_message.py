"""A DHCPv6 message of a client as the client meant it (RFC 8415 sections 8 and 21, now RFC 9915).

By hand, because scapy reads past wrong nested lengths and raises on short options. Strict about
identifiers and identity associations: one of a wrong length refuses the message. Other options
are used as far as they can be read, as dnsmasq does with the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from guest.exchange import Malformed

SOLICIT, REQUEST, CONFIRM, RENEW, REBIND, RELEASE, DECLINE = 1, 3, 4, 5, 6, 8, 9
INFORMATION_REQUEST = 11
NAMES = {
    SOLICIT: "SOLICIT",
    REQUEST: "REQUEST",
    CONFIRM: "CONFIRM",
    RENEW: "RENEW",
    REBIND: "REBIND",
    RELEASE: "RELEASE",
    DECLINE: "DECLINE",
    INFORMATION_REQUEST: "INFORMATION-REQUEST",
}
"""The messages of clients; all others come from servers and relays, or are unknown."""

CLIENT_ID, SERVER_ID, IA_NA, IA_TA, IA_ADDRESS, ORO = 1, 2, 3, 4, 5, 6
RAPID_COMMIT, USER_CLASS, VENDOR_CLASS = 14, 15, 16
IA_PD, IA_PREFIX, FQDN, ARCHITECTURES = 25, 26, 39, 61

_ANY = 0xFFFF
# Shortest and longest data. A DUID is a type and 1 to 128 octets (RFC 8415 section 11.1).
_SIZES = {
    CLIENT_ID: (3, 130),
    SERVER_ID: (3, 130),
    IA_NA: (12, _ANY),
    IA_TA: (4, _ANY),
    IA_PD: (12, _ANY),
}
_ANY_SIZE = (0, _ANY)
_WORDS = {
    CLIENT_ID: "client identifier",
    SERVER_ID: "server identifier",
    IA_NA: "IA_NA",
    IA_TA: "IA_TA",
    IA_PD: "IA_PD",
}
_FIXED = {IA_NA: 12, IA_TA: 4, IA_PD: 12}  # octets before the options inside
# Octets of an IA Address and of an IA Prefix option before the options inside.
_ADDRESS, _PREFIX = 24, 25
# An honest message has about a dozen, nested ones included; what a flood costs is bounded.
_MOST_OPTIONS = 128
_HEADER = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class Association:
    """An IA_NA, IA_TA or IA_PD and the addresses or prefixes that the client names in it."""

    code: int
    iaid: int
    addresses: tuple[IPv6Address, ...] = ()
    """Addresses in an IA_NA or IA_TA, each once; :: (no hint) is left out."""
    prefixes: tuple[IPv6Network, ...] = ()
    """Prefixes in an IA_PD, each once; that of network :: is a wish for its length (RFC 8168)."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a server reads of a client's message."""

    kind: int
    transaction: bytes
    """Three octets, to be echoed."""
    client_id: bytes | None = None
    server_id: bytes | None = None
    associations: tuple[Association, ...] = ()
    """In the client's order; one that comes twice is merged into the first."""
    requested: frozenset[int] = frozenset()
    """Option codes of every ORO."""
    rapid_commit: bool = False
    fqdn_flags: int | None = None
    """The flags octet of RFC 4704 section 4.1, when the client sent its name."""
    user_class: bytes = b""
    """Counted data of the first User Class option."""
    vendor_class: bytes = b""
    """Enterprise number and counted data of the first Vendor Class option."""
    architectures: tuple[int, ...] = ()
    """Option 61, in the client's order (RFC 5970 section 3.3)."""

    @property
    def name(self) -> str:
        """The message type in the RFC's words."""
        return NAMES[self.kind]

    @property
    def named(self) -> tuple[IPv6Address, ...]:
        """Every address of every IA."""
        return tuple(address for ia in self.associations for address in ia.addresses)


class MalformedError(ValueError):
    """What is wrong with a message."""


def parse(payload: bytes) -> Message | Malformed:
    """Return the message of a client, or why it is refused."""
    if len(payload) < 4:
        return Malformed(f"DHCPv6 of {len(payload)} octets, shorter than its header")
    if payload[0] not in NAMES:
        return Malformed(f"DHCPv6: message type {payload[0]}, which no client sends")
    try:
        return _message(payload)
    except MalformedError as refusal:
        return Malformed(f"DHCPv6 {NAMES[payload[0]]}: {refusal}")


def _message(payload: bytes) -> Message:
    options = checked(payload[4:])
    first = dict(reversed(options))
    return Message(
        payload[0],
        payload[1:4],
        client_id=first.get(CLIENT_ID),
        server_id=first.get(SERVER_ID),
        associations=_associations(options),
        requested=frozenset(
            wanted for code, data in options if code == ORO for wanted in _numbers(data)
        ),
        rapid_commit=first.get(RAPID_COMMIT) == b"",
        fqdn_flags=first[FQDN][0] if first.get(FQDN) else None,
        user_class=first.get(USER_CLASS, b""),
        vendor_class=first.get(VENDOR_CLASS, b""),
        architectures=_numbers(first.get(ARCHITECTURES, b"")),
    )


def checked(area: bytes) -> list[tuple[int, bytes]]:
    """Return the options of a message up to one that runs over its end. Raises MalformedError."""
    options: list[tuple[int, bytes]] = []
    identifiers: dict[int, bytes] = {}
    for code, data in walk(area):
        if data is None:
            break
        if len(options) == _MOST_OPTIONS:
            raise MalformedError(f"more than {_MOST_OPTIONS} options")
        shortest, longest = _SIZES.get(code, _ANY_SIZE)
        if not shortest <= len(data) <= longest:
            raise MalformedError(f"{_WORDS[code]} of {len(data)} octets")
        if code in (CLIENT_ID, SERVER_ID) and identifiers.setdefault(code, data) != data:
            raise MalformedError(f"two different {_WORDS[code]}s")
        options.append((code, data))
    return options


def walk(area: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Yield code and data; None for data that runs over the end, which is the last.

    Fewer than four octets at the end are no option and left out.
    """
    at = 0
    while at + 4 <= len(area):
        code, length = _HEADER.unpack_from(area, at)
        begin = at + 4
        at = begin + length
        if at > len(area):
            yield code, None
            return
        yield code, area[begin:at]


def _associations(options: list[tuple[int, bytes]]) -> tuple[Association, ...]:
    found: dict[tuple[int, int], dict[IPv6Address | IPv6Network, None]] = {}
    inside = 0
    for code, data in options:
        if code not in _FIXED:
            continue
        named = found.setdefault((code, int.from_bytes(data[:4])), {})
        for inner, fields in walk(data[_FIXED[code] :]):
            inside += 1
            if inside > _MOST_OPTIONS:
                raise MalformedError(f"more than {_MOST_OPTIONS} options in its IAs")
            if inner == (IA_PREFIX if code == IA_PD else IA_ADDRESS):
                named[_named(code, fields)] = None
    return tuple(_association(code, iaid, tuple(named)) for (code, iaid), named in found.items())


def _named(code: int, fields: bytes | None) -> IPv6Address | IPv6Network:
    """Return the address or prefix of an option inside an IA. Raises MalformedError."""
    if code != IA_PD:
        if fields is None or len(fields) < _ADDRESS:
            raise MalformedError(f"{_WORDS[code]} with an address that is cut off")
        return IPv6Address(fields[:16])
    if fields is None or len(fields) < _PREFIX:
        raise MalformedError("IA_PD with a prefix that is cut off")
    if fields[8] > 128:
        raise MalformedError(f"IA_PD with a prefix of {fields[8]} bits")
    return IPv6Network((fields[9:_PREFIX], fields[8]), strict=False)


def _association(code: int, iaid: int, named: tuple[IPv6Address | IPv6Network, ...]) -> Association:
    addresses = (one for one in named if isinstance(one, IPv6Address) and int(one))
    prefixes = (one for one in named if isinstance(one, IPv6Network) and one.prefixlen)
    return Association(code, iaid, tuple(addresses), tuple(prefixes))


def _numbers(data: bytes) -> tuple[int, ...]:
    """Return a list of 16-bit numbers; half a number at its end is passed over."""
    return struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2])
