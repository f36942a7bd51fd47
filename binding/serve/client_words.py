"""What a DHCP client says of itself, for the line of its exchange in the log. Pure.

Read leniently: the answer does not depend on it, and a hostile guest may say anything.
"""

from __future__ import annotations

from dhcp.v4_request import options_of
from dhcp.v6_message import walk
from guest.ethernet import ETH_IPV4, ETH_IPV6, UDP

_LONGEST = 64
_HOST_NAME, _VENDOR_CLASS = 12, 60
_VENDOR_CLASS6, _FQDN6 = 16, 39


def read(frame: bytes) -> dict[str, str]:
    """Return `transaction`, `client` (its name) and `vendor`, as far as a request has them."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype == ETH_IPV4 and frame[23:24] == bytes((UDP,)):
        payload = frame[14 + 4 * (frame[14] & 15) + 8 :]
        said, transaction = options_of(payload), payload[4:8]
        name, vendor = said.get(_HOST_NAME, b""), said.get(_VENDOR_CLASS, b"")
    elif ethertype == ETH_IPV6 and frame[20:21] == bytes((UDP,)):
        payload = frame[62:]
        said, transaction = {code: data or b"" for code, data in walk(payload[4:])}, payload[1:4]
        name, vendor = said.get(_FQDN6, b"")[2:], said.get(_VENDOR_CLASS6, b"")[6:]
    else:
        return {}
    words = {"client": _text(name), "vendor": _text(vendor), "transaction": transaction.hex()}
    return {key: word for key, word in words.items() if word}


def _text(octets: bytes) -> str:
    """Return what can be read of it; length octets of a DNS name become dots."""
    text = "".join(chr(one) if 32 < one < 127 else "." for one in octets[:_LONGEST])
    return text.strip(".")
