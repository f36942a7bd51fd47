"""What the frames of a guest's tap and pod NIC show. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from binding.operator.questions import BEYOND
from binding.packet import address_owner
from guest.ethernet import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMPV6,
    NEIGHBOR_ADVERTISEMENT,
    NEIGHBOR_SOLICITATION,
    ROUTER_ADVERTISEMENT,
    UDP,
)
from guest.network import Address, GuestNetwork

_MOST_ADDRESSES = 8
_MANY = 4 * _MOST_ADDRESSES
_ECHO_REPLY = b"\x01\x00"
"""Protocol and type of an ICMP echo reply."""
_TOLD_BY = {NEIGHBOR_ADVERTISEMENT: "neighbour advertisements", 129: "IPv6 echo replies"}
_ARP_REQUEST, _ARP_REPLY = b"\x00\x01", b"\x00\x02"
_DNS = b"\x00\x35"


@dataclass(slots=True)
class Traffic:
    """What the frames of one guest have shown."""

    macs: Counter[str] = field(default_factory=Counter)
    """Frames by the MAC that they came from at the tap."""
    sources: dict[str, Address] = field(default_factory=dict)
    """IP addresses that the guest's MAC sends from, by their text."""
    vlans: Counter[int] = field(default_factory=Counter)
    """Frames of the guest by the VID that it tagged them with."""
    has: dict[str, str] = field(default_factory=dict)
    """Addresses that are answered for at the tap, and by which MAC."""
    answers: set[str] = field(default_factory=set)
    """Addresses for which the guest answers who asks: by an ARP reply or an advertisement."""
    claimed: dict[str, str] = field(default_factory=dict)
    """Addresses that are answered for on the pod network, and by which MAC."""
    servers: set[tuple[str, str, str]] = field(default_factory=set)
    """Servers and routers on the pod network: what, address, MAC."""
    wanted: dict[str, float] = field(default_factory=dict)
    """Addresses whose MAC the guest asks for, and when first (monotonic seconds)."""
    answered: set[str] = field(default_factory=set)
    """Addresses whose MAC the guest was told by another machine, or by dsbridge."""
    asked: set[str] = field(default_factory=set)
    """Gateways that diagnose has asked for their MAC in the guest's name, by the pod NIC."""
    probes: int = 0
    """Times that other hosts were asked whether they have the guest's addresses."""
    has_nic: bool = False
    """What leaves by the pod NIC was listened to."""
    told: Counter[str] = field(default_factory=Counter)
    """Replies of the guest that no guard drops, by kind, at the tap."""
    told_outside: Counter[str] = field(default_factory=Counter)
    """The same as they leave by the pod NIC."""
    echoes: int = 0
    """Frames from the guest's own MAC that came in at the pod NIC."""
    queries: Counter[str] = field(default_factory=Counter)
    """DNS queries of the guest, by server."""
    replies: Counter[str] = field(default_factory=Counter)
    """DNS replies to the guest, by server."""
    has_router: bool = False
    """The guest sends to an address beyond its link, by IPv6."""
    was_asked: bool = False
    """The guest was asked at its tap who has its addresses, as often as it takes."""
    is_cut: bool = False
    """There was more traffic than is read."""

    @property
    def unanswered(self) -> list[str]:
        """The addresses whose MAC the guest has asked for in vain."""
        answered = self.answered | self.claimed.keys()
        return [one for one in self.wanted if one not in answered]

    @property
    def stays_inside(self) -> list[str]:
        """The kinds of messages that the guest sends, and of which none leaves by the pod NIC."""
        is_seen = self.has_nic and not self.is_cut
        return sorted(self.told.keys() - self.told_outside.keys()) if is_seen else []

    @property
    def stays_outside(self) -> list[str]:
        """The gateways that answer at the pod NIC, and whose answer never comes to the tap."""
        return [] if self.is_cut else sorted(self.asked & self.claimed.keys() - self.answered)

    def uses(self, address: str) -> bool:
        """Tell whether the guest answers for an address, or sends from it."""
        return address in self.answers or address in self.sources

    def forget_questions_since(self, since: float) -> None:
        """Leave out what was asked so late that its answer need not have come."""
        self.wanted = {one: at for one, at in self.wanted.items() if at < since}


def at_tap(found: Traffic, guest: GuestNetwork, frame: bytes, _: float) -> None:
    """Take what one frame of the guest shows."""
    if len(frame) < 34:
        return
    mac, ethertype = frame[6:12].hex(":"), int.from_bytes(frame[12:14], "big")
    found.macs[mac] += 1
    source = _source(frame, ethertype)
    if mac == guest.mac and source is not None and len(found.sources) < _MOST_ADDRESSES:
        found.sources[str(source)] = source
    found.has_router |= ethertype == ETH_IPV6 and frame[38:54] == BEYOND.packed
    server = _dns(frame, ethertype, to_server=True)
    if server and len(found.queries) < _MANY:
        found.queries[server] += 1


def messages_at_tap(found: Traffic, guest: GuestNetwork, frame: bytes, now: float) -> None:
    """Take what ARP and neighbour discovery at the tap show, of the guest and to the guest."""
    if len(frame) < 34:
        return
    claim = address_owner.read(frame)
    is_guests = frame[6:12].hex(":") == guest.mac
    wanted = _wanted(frame) if is_guests else None
    own: set[Address] = {one.ip for one in guest.ipv4} | {one.ip for one in guest.ipv6}
    if wanted is not None and wanted not in own and len(found.wanted) < _MANY:
        found.wanted.setdefault(str(wanted), now)
    if is_guests and (kind := _tells(frame)):
        found.told[kind] += 1
        if claim is not None and len(found.answers) < _MANY:
            found.answers.add(str(claim.address))
    if claim is None:
        return
    if claim.mac == guest.mac or is_guests:
        if len(found.has) < _MOST_ADDRESSES:
            found.has[str(claim.address)] = claim.mac
    elif len(found.answered) < _MANY and (frame[0] & 1 or frame[:6].hex(":") == guest.mac):
        found.answered.add(str(claim.address))


def at_nic(found: Traffic, guest: GuestNetwork, frame: bytes, _: float) -> None:
    """Take what one frame of the pod network shows."""
    if len(frame) < 34:
        return
    mac, ethertype = frame[6:12].hex(":"), int.from_bytes(frame[12:14], "big")
    if mac == guest.mac:
        found.echoes += 1
        return
    server = _dns(frame, ethertype, to_server=False)
    if server and len(found.replies) < _MANY:
        found.replies[server] += 1


def messages_at_nic(found: Traffic, guest: GuestNetwork, frame: bytes, _: float) -> None:
    """Take what ARP, neighbour discovery, DHCP and RAs of the pod network show."""
    if len(frame) < 34:
        return
    mac, ethertype = frame[6:12].hex(":"), int.from_bytes(frame[12:14], "big")
    claim = address_owner.read(frame)
    if claim is not None and len(found.claimed) < _MANY:
        found.claimed[str(claim.address)] = claim.mac
    server = _server(frame, ethertype)
    if server and mac != guest.mac and len(found.servers) < _MOST_ADDRESSES:
        found.servers.add((server, str(_source(frame, ethertype)), mac))


def messages_out_by_nic(found: Traffic, guest: GuestNetwork, frame: bytes, _: float) -> None:
    """Take what leaves the pod of what the guest tells."""
    if frame[6:12].hex(":") == guest.mac and (kind := _tells(frame)):
        found.told_outside[kind] += 1


def _tells(frame: bytes) -> str:
    """Return what a frame tells others, by ARP or by neighbour discovery; empty for another."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if frame[:6] == frame[6:12]:  # to itself, as Linux sends where ARP is off at a NIC
        return ""
    if ethertype == ETH_ARP:
        return "ARP replies" if frame[20:22] == _ARP_REPLY else ""
    if ethertype == ETH_IPV4:
        at = 14 + 4 * (frame[14] & 15)
        return "IPv4 echo replies" if frame[23:24] + frame[at : at + 1] == _ECHO_REPLY else ""
    is_icmp6 = ethertype == ETH_IPV6 and frame[20] == ICMPV6 and len(frame) >= 58
    return _TOLD_BY.get(frame[54], "") if is_icmp6 else ""


def _wanted(frame: bytes) -> Address | None:
    """Return the address whose MAC the sender asks for."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype == ETH_ARP and frame[20:22] == _ARP_REQUEST and len(frame) >= 42:
        return IPv4Address(frame[38:42])
    if ethertype != ETH_IPV6 or len(frame) < 78:
        return None
    is_question = (frame[20], frame[54]) == (ICMPV6, NEIGHBOR_SOLICITATION)
    is_dad = not any(frame[22:38])
    return IPv6Address(frame[62:78]) if is_question and not is_dad else None


def _dns(frame: bytes, ethertype: int, *, to_server: bool) -> str:
    """Return the address of the server to or from which a frame is, without IP options."""
    if ethertype == ETH_IPV4 and frame[14] == 0x45 and frame[23] == UDP:
        ends, ports = (frame[26:30], frame[30:34]), frame[34:38]
    elif ethertype == ETH_IPV6 and len(frame) >= 62 and frame[20] == UDP:
        ends, ports = (frame[22:38], frame[38:54]), frame[54:58]
    else:
        return ""
    server, port = (ends[1], ports[2:]) if to_server else (ends[0], ports[:2])
    if port != _DNS:
        return ""
    return str(IPv4Address(server) if len(server) == 4 else IPv6Address(server))


def _source(frame: bytes, ethertype: int) -> Address | None:
    address: Address | None = None
    if ethertype == ETH_ARP:
        address = IPv4Address(frame[28:32])
    elif ethertype == ETH_IPV4:
        address = IPv4Address(frame[26:30])
    elif ethertype == ETH_IPV6 and len(frame) >= 54:
        address = IPv6Address(frame[22:38])
    return None if address is None or address.is_unspecified else address


def _server(frame: bytes, ethertype: int) -> str:
    if ethertype == ETH_IPV6 and len(frame) >= 58:
        if (frame[20], frame[54]) == (ICMPV6, ROUTER_ADVERTISEMENT):
            return "router"
        return "DHCPv6 server" if frame[20] == UDP and frame[54:58] == b"\x02\x23\x02\x22" else ""
    if ethertype == ETH_IPV4 and frame[23] == UDP:
        at = 14 + 4 * (frame[14] & 15)
        return "DHCPv4 server" if frame[at : at + 4] == b"\x00\x43\x00\x44" else ""
    return ""
