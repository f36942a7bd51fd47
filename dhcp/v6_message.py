"""A DHCPv6 message of a client, read strictly (RFC 8415 sections 8 and 21, now RFC 9915).

By hand, because scapy reads past wrong nested lengths and raises on short ones. What
we never look into (vendor and user class, authentication) is only held to its length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

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
RAPID_COMMIT, VENDOR_CLASS, IA_PD, IA_PREFIX, FQDN = 14, 16, 25, 26, 39

# Shortest and longest data of the options whose size an RFC fixes. A DUID is a type
# and 1 to 128 octets (RFC 8415 section 11.1).
_ANY = 0xFFFF
_SIZES = {
    CLIENT_ID: (3, 130),
    SERVER_ID: (3, 130),
    IA_NA: (12, _ANY),
    IA_TA: (4, _ANY),
    IA_ADDRESS: (24, _ANY),
    7: (1, 1),  # preference
    8: (2, 2),  # elapsed time
    11: (11, _ANY),  # authentication
    12: (16, 16),  # server unicast
    13: (2, _ANY),  # status code
    RAPID_COMMIT: (0, 0),
    VENDOR_CLASS: (4, _ANY),
    17: (4, _ANY),  # vendor-specific information
    19: (1, 1),  # reconfigure message
    20: (0, 0),  # reconfigure accept
    IA_PD: (12, _ANY),
    IA_PREFIX: (25, _ANY),
    FQDN: (1, _ANY),
    62: (3, 3),  # client network interface identifier
}
_PAIRS = (ORO, 61)  # lists of 16-bit codes
# Where the options inside an option begin.
_FIXED = {IA_NA: 12, IA_TA: 4, IA_PD: 12, IA_ADDRESS: 24, IA_PREFIX: 25}
# An honest message has about a dozen, nested ones included; what a flood costs is bounded.
_MOST_OPTIONS = 128


_HEADER = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class Association:
    """An IA_NA, IA_TA or IA_PD and the addresses that the client names in it."""

    code: int
    iaid: int
    addresses: tuple[IPv6Address, ...] = ()
    """Without repetition; :: (no hint) and the prefixes of an IA_PD are left out."""


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
    vendor_class: bytes = b""
    """Enterprise number and counted data of the first Vendor Class option."""

    @property
    def name(self) -> str:
        """The message type in the RFC's words."""
        return NAMES[self.kind]

    @property
    def named(self) -> tuple[IPv6Address, ...]:
        """Every address of every IA."""
        return tuple(address for ia in self.associations for address in ia.addresses)


def parse(payload: bytes) -> Message | None:
    """Return the message of a client; None when malformed, contradictory or not a client's."""
    if len(payload) < 4 or payload[0] not in NAMES:
        return None
    options = checked(payload[4:])
    if options is None:
        return None
    client_ids = {data for code, data in options if code == CLIENT_ID}
    server_ids = {data for code, data in options if code == SERVER_ID}
    if len(client_ids) > 1 or len(server_ids) > 1:
        return None
    return Message(
        payload[0],
        payload[1:4],
        client_id=next(iter(client_ids), None),
        server_id=next(iter(server_ids), None),
        associations=_associations(options),
        requested=frozenset(
            code
            for option, data in options
            if option == ORO
            for (code,) in struct.iter_unpack("!H", data)
        ),
        rapid_commit=any(code == RAPID_COMMIT for code, _ in options),
        fqdn_flags=next((data[0] for code, data in options if code == FQDN), None),
        vendor_class=next((data for code, data in options if code == VENDOR_CLASS), b""),
    )


def checked(octets: bytes) -> list[tuple[int, bytes]] | None:
    """Check a whole options area, nested ones too; return the top level."""
    seen = 0
    top: list[tuple[int, bytes]] = []
    # Areas still to be checked, and which containers may open another one: an IA only
    # at the top, addresses and prefixes only in an IA, so three levels at most.
    areas: list[tuple[bytes, tuple[int, ...]]] = [(octets, (IA_NA, IA_TA, IA_PD))]
    while areas:
        area, containers = areas.pop()
        inner = (IA_ADDRESS, IA_PREFIX) if IA_NA in containers else ()
        is_top = IA_NA in containers
        for code, data in walk(area):
            seen += 1
            if data is None or seen > _MOST_OPTIONS or not _sized(code, data):
                return None
            if code in containers:
                areas.append((data[_FIXED[code] :], inner))
            if is_top:
                top.append((code, data))
    return top


def walk(area: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Yield code and data; None for data that runs over the end, which is the last."""
    at = 0
    while at < len(area):
        if at + 4 > len(area):
            yield 0, None
            return
        code, length = _HEADER.unpack_from(area, at)
        begin = at + 4
        at = begin + length
        if at > len(area):
            yield code, None
            return
        yield code, area[begin:at]


def _sized(code: int, data: bytes) -> bool:
    shortest, longest = _SIZES.get(code, (0, _ANY))
    if code in _PAIRS and len(data) % 2:
        return False
    return shortest <= len(data) <= longest


def _associations(options: list[tuple[int, bytes]]) -> tuple[Association, ...]:
    found: dict[tuple[int, int], dict[IPv6Address, None]] = {}
    for code, data in options:
        if code not in (IA_NA, IA_TA, IA_PD):
            continue
        (iaid,) = struct.unpack_from("!I", data)
        addresses = found.setdefault((code, iaid), {})
        if code != IA_PD:
            for inner, fields in walk(data[_FIXED[code] :]):
                if inner == IA_ADDRESS and fields is not None:
                    addresses[IPv6Address(fields[:16])] = None
            addresses.pop(IPv6Address("::"), None)
    return tuple(Association(code, iaid, tuple(named)) for (code, iaid), named in found.items())
