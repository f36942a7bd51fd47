"""Traffic at a guest's tap and pod NIC for a moment, and the guest's answers to ARP and NS.

At the tap the guest is asked, from dsbridge's own MAC, who has its addresses: frames that are put
on a tap reach that guest only. Nothing is sent to the pod network.
"""

from __future__ import annotations

import select
import struct
import time
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from binding.packet import address_owner, bpf
from binding.packet.port import Port
from guest.ethernet import (
    BROADCAST,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMPV6,
    NEIGHBOR_SOLICITATION,
    ROUTER_ADVERTISEMENT,
    UDP,
    checksum,
    group_mac,
    mac_bytes,
    solicited_node,
)
from guest.network import OUR_IPV4, OUR_LINK_LOCAL, OUR_MAC, Address, GuestNetwork

_MOST_FRAMES = 400
_MOST_ADDRESSES = 8


@dataclass(slots=True)
class Traffic:
    """What was seen of one guest."""

    macs: Counter[str] = field(default_factory=Counter)
    """Frames by the MAC that they came from at the tap."""
    sources: dict[str, Address] = field(default_factory=dict)
    """IP addresses that the guest's MAC sends from, by their text."""
    has: dict[str, str] = field(default_factory=dict)
    """Addresses that are answered for at the tap, and by which MAC."""
    claimed: dict[str, str] = field(default_factory=dict)
    """Addresses that are answered for on the pod network, and by which MAC."""
    servers: set[tuple[str, str, str]] = field(default_factory=set)
    """Servers and routers on the pod network: what, address, MAC."""
    error: str = ""


def listen(
    guests: tuple[GuestNetwork, ...], seconds: float, silent: Container[str] = ()
) -> dict[str, Traffic]:
    """Listen at all of them at once; needs NET_RAW. What cannot be opened has an `error`.

    Guests of the networks in `silent` are asked nothing: they still run elsewhere.
    """
    found = {guest.network: Traffic() for guest in guests}
    sockets: dict[int, tuple[Port, GuestNetwork, bool]] = {}
    poll = select.poll()
    for guest in guests:
        for link, is_tap in ((guest.tap, True), (guest.nic, False)):
            if not link or (link == guest.tap and not is_tap):
                continue
            try:
                port = Port.open(link, bpf.EVERYTHING)
            except OSError as error:
                found[guest.network].error = f"{link}: {error.strerror or error}"
                continue
            sockets[port.socket.fileno()] = port, guest, is_tap
            poll.register(port.socket, select.POLLIN)
            if is_tap and guest.network not in silent:
                _ask(port, guest)
    _until(time.monotonic() + seconds, poll, sockets, found)
    for port, _, _ in sockets.values():
        port.socket.close()
    return found


def _until(
    until: float,
    poll: select.poll,
    sockets: dict[int, tuple[Port, GuestNetwork, bool]],
    found: dict[str, Traffic],
) -> None:
    budget = _MOST_FRAMES * max(1, len(sockets))
    while (left := until - time.monotonic()) > 0 and budget > 0:
        for number, _ in poll.poll(left * 1000):
            port, guest, is_tap = sockets[number]
            try:
                for received in port.receive():
                    budget -= 1
                    take_frame(found[guest.network], guest, received.frame, is_tap=is_tap)
            except OSError:  # the link went away
                poll.unregister(number)


def _ask(port: Port, guest: GuestNetwork) -> None:
    ours = mac_bytes(OUR_MAC)
    for four in guest.ipv4[:_MOST_ADDRESSES]:
        asked = struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, 1) + ours + OUR_IPV4.packed
        header = mac_bytes(BROADCAST) + ours + struct.pack("!H", ETH_ARP)
        port.send(header + asked + bytes(6) + four.ip.packed)
    for six in guest.ipv6[:_MOST_ADDRESSES]:
        port.send(_solicitation(six.ip))


def _solicitation(target: IPv6Address) -> bytes:
    group, ours = solicited_node(target), mac_bytes(OUR_MAC)
    body = struct.pack("!BBHI", NEIGHBOR_SOLICITATION, 0, 0, 0) + target.packed + b"\x01\x01" + ours
    ends = OUR_LINK_LOCAL.packed + group.packed
    total = checksum(ends + struct.pack("!II", len(body), ICMPV6) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    header = mac_bytes(group_mac(group)) + ours + struct.pack("!H", ETH_IPV6)
    return header + struct.pack("!IHBB", 0x60000000, len(body), ICMPV6, 255) + ends + body


def take_frame(found: Traffic, guest: GuestNetwork, frame: bytes, *, is_tap: bool) -> None:
    """Note what one frame shows."""
    if len(frame) < 34:
        return
    mac, ethertype = frame[6:12].hex(":"), int.from_bytes(frame[12:14], "big")
    owner = address_owner.read(frame)
    if is_tap:
        found.macs[mac] += 1
        source = _source(frame, ethertype)
        if mac == guest.mac and source is not None and len(found.sources) < _MOST_ADDRESSES:
            found.sources[str(source)] = source
        if owner is not None and len(found.has) < _MOST_ADDRESSES:
            found.has[str(owner.address)] = owner.mac
        return
    if owner is not None and len(found.claimed) < 4 * _MOST_ADDRESSES:
        found.claimed[str(owner.address)] = owner.mac
    server = _server(frame, ethertype)
    if server and mac != guest.mac and len(found.servers) < _MOST_ADDRESSES:
        found.servers.add((server, str(_source(frame, ethertype)), mac))


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
