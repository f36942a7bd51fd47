"""A request and its answer: the return value of every protocol decision."""

from dataclasses import dataclass
from typing import NamedTuple

IPV6_PREFERRED = "IPv6 preferred"
"""In the note of an OFFER with option 108: its client may do without IPv4 (RFC 8925), and then
sends no REQUEST."""
FROM_OTHER_MAC, FOR_OTHER_MAC = "from another MAC", "for another MAC"
"""How the note of a silence begins where the request is not of this guest's MAC."""
NO_PREFIX, NO_BOOT_FILE = "no prefix for", "without a boot file"
"""In the note of an offer that some clients do not take for want of that."""
NOT_ON_LINK = "NotOnLink"
"""How the note of a DHCPv6 answer begins to a client with addresses of another link."""
WITHOUT_ADDRESS = ("no address", "prefix ", NOT_ON_LINK)
"""How the note of a DHCPv6 answer begins that gives the guest no address."""


class Exchange(NamedTuple):
    """A request in the protocol's words and the answer to it, or the reason for silence.

    A tuple: a dataclass takes thrice as long to make, and each answer has one of its own.
    """

    request: str
    """DISCOVER, SOLICIT, RS …: also the name of its counter."""
    reply: str = ""
    """OFFER, ADVERTISE, RA …; empty means that the RFC wants silence."""
    frame: bytes = b""
    """The whole Ethernet frame for the tap; empty means that the RFC wants silence."""
    note: str = ""
    """For the operator: the address given, or the reason for silence."""
    warning: str = ""
    """What an operator must look at, in a word: `declined`, `rogue` …; mostly empty."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that a reader refuses, because a guess at its meaning could harm the guest."""

    reason: str
    """What is wrong with the message, in words for the operator."""

    def exchange(self) -> Exchange:
        """Return the silence to this message, counted as `malformed`, with its reason."""
        return Exchange("malformed", note=self.reason)
