"""The classes of requests that dsbridge answers otherwise than its peers.

docs/comparison.md has the RFC's word on each, and why.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reason:
    """Of the requests of these kinds, or odd in one of these ways."""

    what: str
    """As in the first column of the table."""
    twists: frozenset[str] = field(default_factory=frozenset)
    kinds: frozenset[str] = field(default_factory=frozenset)
    among: tuple[str, ...] = ()
    """Words of which one of the answers has one."""

    def holds(self, kind: str, twists: tuple[str, ...], answers: tuple[str, ...]) -> bool:
        """Say whether this is the reason."""
        return (
            (not self.twists or bool(self.twists.intersection(twists)))
            and (not self.kinds or kind in self.kinds)
            and (not self.among or any(word in one for word in self.among for one in answers))
        )


def _of(*names: str) -> frozenset[str]:
    return frozenset(names)


_MESSAGES6 = _of(
    "SOLICIT",
    "DHCPv6 REQUEST",
    "CONFIRM",
    "RENEW",
    "REBIND",
    "INFORMATION-REQUEST",
    "DHCPv6 RELEASE",
    "DHCPv6 DECLINE",
)
REASONS = (
    Reason(
        "another MAC, in the frame or as chaddr",
        _of(
            "another MAC in both", "another chaddr", "another source MAC", "from another source MAC"
        ),
    ),
    Reason(
        "another DUID or IAID, or two IAs",
        _of(
            "IA twice",
            "IAID 0",
            "another IAID",
            "another client id",
            "client id of 130 octets",
            "two IAs",
        ),
    ),
    Reason(
        "IA_TA, IA_PD",
        _of("IA_PD", "IA_PD only", "IA_TA"),
    ),
    Reason(
        "IA with an address of the subnet that is not the guest's",
        _of("IA of another address"),
    ),
    Reason(
        "IA with an address of elsewhere, or with none",
        _of(
            "IA of ::",
            "IA of elsewhere",
            "IA of ours and elsewhere",
            "IA without an address",
            "T1 above T2",
            "no IA",
            "preferred above valid",
        ),
    ),
    Reason(
        "an IA, its address or an identifier of a wrong length",
        _of(
            "IA of 4 octets",
            "IA that is cut",
            "IA with a short address",
            "IA_TA of 0 octets",
            "client id of 0 octets",
            "client id of 1 octet",
            "client id of 131 octets",
            "server id of 0 octets",
        ),
        kinds=_MESSAGES6,
    ),
    Reason(
        "another DHCPv6 option of a wrong length, an identifier twice",
        _of(
            "FQDN",
            "FQDN of 0 octets",
            "ORO of 3 octets",
            "authentication",
            "client id twice",
            "cut behind its header",
            "cut in its header",
            "elapsed time of 1 octet",
            "empty ORO",
            "interface id",
            "octets behind",
            "option overruns",
            "preference",
            "rapid commit of 1 octet",
            "reconfigure accept",
            "relay message option",
            "server id twice",
            "status code",
            "unicast option",
            "unknown option",
            "user class",
            "user class that overruns",
            "vendor class",
            "vendor class of 2 octets",
        ),
    ),
    Reason(
        "two different identifiers, a server identifier where none may be, or another server's",
        _of(
            "another server",
            "names the server",
            "no client id",
            "no server id",
            "two client ids",
            "two server ids",
        ),
        kinds=_MESSAGES6,
    ),
    Reason(
        "INFORMATION-REQUEST with an IA",
        kinds=_of("INFORMATION-REQUEST"),
        among=("silence",),
    ),
    Reason(
        "RELEASE, DECLINE of DHCPv6",
        kinds=_of("DHCPv6 DECLINE", "DHCPv6 RELEASE"),
    ),
    Reason(
        "extension headers before UDP or ICMPv6",
        _of("destination options", "hop-by-hop options"),
    ),
    Reason(
        "from an address that is not link-local, or to another group",
        _of(
            "from ::",
            "from a global address",
            "from elsewhere",
            "to all nodes",
            "to all servers of the site",
        ),
    ),
    Reason(
        "router solicitations that RFC 4861 has routers discard",
        kinds=_of("RS"),
    ),
    Reason(
        "BOOTP, or a message whose type has no octet or two",
        _of(
            "BOOTP",
            "an ACK",
            "an OFFER",
            "cut behind the cookie",
            "two types",
            "type 0",
            "type 10 (LEASEQUERY)",
            "type 255",
            "type 9 (FORCERENEW)",
            "type of 0 octets",
            "type of 2 octets",
            "type twice",
        ),
    ),
    Reason(
        "a header that is not an Ethernet client's request",
        _of(
            "a reply (op 2)",
            "cut in its header",
            "hlen 0",
            "hlen 16",
            "htype 6",
            "no cookie",
            "op 0",
            "relayed",
        ),
    ),
    Reason(
        "fragments, tagged frames, wrong checksums",
        _of(
            "VID 0",
            "VID 5",
            "more fragments",
            "no UDP checksum",
            "second fragment",
            "wrong UDP checksum",
        ),
    ),
    Reason(
        "requested address, server, lease time or size of a wrong length",
        _of(
            "FQDN",
            "empty request list",
            "host name that is none",
            "lease of 2 octets",
            "option 252",
            "option overruns",
            "overload of 0",
            "overload of 2 octets",
            "rapid commit of 1 octet",
            "requested address of 3 octets",
            "requested address of 5 octets",
            "server of 0 octets",
            "server of 3 octets",
            "size of 1 octet",
        ),
    ),
    Reason(
        "an option twice",
        _of(
            "client id twice",
            "request list twice",
            "requested address twice",
            "server twice",
            "two client ids",
            "two requested addresses",
            "two servers",
        ),
    ),
    Reason(
        "client identifier",
        among=("client id",),
    ),
    Reason(
        "ciaddr and requested address contradict each other",
        _of(
            "asks for 0.0.0.0",
            "asks for 255.255.255.255",
            "asks for another",
            "asks for elsewhere",
            "asks for ours",
            "ciaddr of another",
            "ciaddr of elsewhere",
            "ciaddr of ours",
        ),
    ),
    Reason(
        "another server, or where the request goes",
        _of(
            "another server",
            "from 0.0.0.0",
            "from an address",
            "from another's address",
            "from port 1068",
            "from port 67",
            "names us",
            "to another address",
            "to our address by broadcast MAC",
            "to the broadcast address by unicast MAC",
            "to the server's MAC and address",
            "to the subnet's broadcast",
            "yiaddr and siaddr set",
        ),
    ),
    Reason(
        "rapid commit in DHCPv4",
        _of("rapid commit"),
    ),
    Reason(
        "subnet selection (118), relay agent option of a client",
        _of("relay agent option", "subnet selection"),
    ),
    Reason(
        "a lease time in the answer to INFORM",
        kinds=_of("INFORM"),
        among=("lease",),
    ),
    Reason(
        "lifetimes of an address that was never leased",
        kinds=_of("DHCPv6 REQUEST", "REBIND", "RENEW"),
        among=("No",),
    ),
    Reason("a request larger than the pod link's MTU", _of("1,400 octets")),
    Reason("what an earlier request has left", among=("pool", "NAK")),
)


def reason(kind: str, twists: tuple[str, ...], answers: tuple[str, ...]) -> str:
    """Return the class of the first reason that holds; empty where none does."""
    return next((one.what for one in REASONS if one.holds(kind, twists, answers)), "")
