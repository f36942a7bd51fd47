"""A DHCPv4 reply as one Ethernet frame for the tap, no longer than the client takes."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from dhcp.v4_option_codec import ShorterValues, none_shorter, pack
from dhcp.v4_options import NOT_BOOTING, BootFields
from dhcp.v4_request import COOKIE, HEADER, Request
from guest.build import built
from guest.ethernet import BROADCAST, DHCP4_CLIENT, DHCP4_SERVER
from guest.network import OUR_MAC, GuestNetwork

NOBODY = IPv4Address(0)
EVERYBODY = IPv4Address("255.255.255.255")
_HEADERS = 20 + 8  # bytes of IPv4 and UDP, which option 57 counts (RFC 2131 section 2)
_FIXED = HEADER + len(COOKIE)  # bytes of BOOTP before the first option
_SHORTEST = 300  # bytes of BOOTP; old clients drop a shorter reply (RFC 1542 section 2.1)


@dataclass(frozen=True, slots=True)
class Reply:
    """The fields in which one reply differs from another."""

    kind: int
    """The message type, option 53."""
    to: IPv4Address
    """IPv4 destination; 255.255.255.255 goes to the Ethernet broadcast address."""
    ciaddr: IPv4Address = NOBODY
    yiaddr: IPv4Address = NOBODY
    boot: BootFields = NOT_BOOTING
    options: tuple[tuple[int, bytes], ...] = ()
    """Options behind 53 and 54, the most needed first."""
    shorter: ShorterValues = none_shorter
    """Gives shorter values of the options that find no room."""


def compose(reply: Reply, request: Request, guest: GuestNetwork) -> tuple[bytes, tuple[str, ...]]:
    """Return the frame, and in words each option that the client's size leaves no room for."""
    options = [(53, bytes([reply.kind])), (54, guest.server4.packed), *reply.options]
    room, fields_free = _room(request, guest), not reply.boot.used
    packed = pack(options, room, fields_free=fields_free, shorter=reply.shorter)
    bootp = BOOTP(
        op=2,
        xid=request.xid,
        flags=request.flags,
        ciaddr=str(reply.ciaddr),
        yiaddr=str(reply.yiaddr),
        siaddr=str(reply.boot.siaddr),
        chaddr=request.chaddr,
        sname=packed.sname or reply.boot.sname,
        file=packed.file or reply.boot.file,
        options=COOKIE,
    )
    used = _FIXED + sum(2 + len(value) for _, value in packed.options) + 1
    dhcp = DHCP(options=[*packed.options, "end", bytes(max(0, _SHORTEST - used))])
    frame = built(
        Ether(src=OUR_MAC, dst=BROADCAST if reply.to == EVERYBODY else guest.mac),
        IP(src=str(guest.server4), dst=str(reply.to), ttl=64),
        UDP(sport=DHCP4_SERVER, dport=DHCP4_CLIENT),
        bootp,
        dhcp,
    )
    return frame, packed.left_out


def _room(request: Request, guest: GuestNetwork) -> int:
    """Return the bytes for options after the cookie, by the client's size and the tap's MTU."""
    datagram = min(request.size, max(guest.mtu, _HEADERS + _SHORTEST))
    return datagram - _HEADERS - _FIXED
