"""Listens for a moment at guests' taps and pod NICs, and asks each guest who has its addresses.

The guest is asked at its tap, from dsbridge's own MAC: frames that are put on a tap reach that
guest only. Nothing is sent to the pod network.
"""

from __future__ import annotations

import select
import struct
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from binding.operator import traffic
from binding.operator.traffic import Traffic
from binding.packet import bpf
from binding.packet.port import Port
from guest.ethernet import (
    BROADCAST,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMPV6,
    NEIGHBOR_SOLICITATION,
    checksum,
    group_mac,
    mac_bytes,
    solicited_node,
)
from guest.network import OUR_IPV4, OUR_LINK_LOCAL, OUR_MAC, Address, GuestNetwork

_MOST_FRAMES = 400
"""Read of a guest's own traffic at one link."""
_MOST_MESSAGES = 2_000
"""Read at one link of what configures a guest."""
_MOST_ADDRESSES = 8
_ASKED_AGAIN = 0.7
"""Seconds after which a guest that has not answered is asked again."""
_PATIENCE = 5.0
"""Seconds for a guest that has not answered, instead of those for the others."""
_ANSWER_TAKES = 1.0
"""Seconds within which a machine answers ARP or a neighbour solicitation, on a busy node, too."""
_ALL_NODES = IPv6Address("ff02::1")
_ECHO = struct.pack("!BBHI", 128, 0, 0, 0)
"""An echo request."""
_Take = Callable[[Traffic, GuestNetwork, bytes, float], None]


@dataclass(slots=True)
class _Socket:
    """One packet socket, what takes its frames, and how many more it takes."""

    port: Port
    guest: GuestNetwork
    take: _Take
    left: int


def listen(
    guests: tuple[GuestNetwork, ...],
    seconds: float,
    silent: Container[str] = (),
    expected: Container[Address] = (),
    unasked: Container[str] = (),
) -> dict[str, Traffic]:
    """Listen at all of them at once; needs NET_RAW. A link that is gone is left out.

    Guests of the networks in `silent` are asked nothing: they still run elsewhere. For the
    `expected` addresses, which guests were given, they are asked again, and waited for longer.
    Guests of the networks in `unasked` are asked whether they know a router: they sent no RS.
    """
    found = {guest.network: Traffic() for guest in guests}
    sockets = {one.port.socket.fileno(): one for guest in guests for one in _opened(guest)}
    asked = [
        one
        for one in sockets.values()
        if one.take is traffic.at_tap and one.guest.network not in silent
    ]
    begun = time.monotonic()
    while True:
        now = time.monotonic()
        missing = [one for one in asked if _lacks(found[one.guest.network], one.guest, expected)]
        until = begun + (max(seconds, _PATIENCE) if missing else seconds)
        if now >= until:
            break
        for one in asked if now - begun < _ASKED_AGAIN else missing:
            _ask(one.port, one.guest)
            if one.guest.network in unasked:
                one.port.send(_to_group(_ALL_NODES, _ECHO, traffic.BEYOND))
        _until(min(now + _ASKED_AGAIN, until), sockets, found)
    for one in asked:
        found[one.guest.network].was_asked = True
    for one in sockets.values():
        one.port.socket.close()
    for of_one in found.values():
        of_one.forget_questions_since(until - _ANSWER_TAKES)
    return found


def _lacks(found: Traffic, guest: GuestNetwork, expected: Container[Address]) -> bool:
    """Tell whether a guest has not shown an address that it should have."""
    return any(
        one in expected and found.has.get(str(one)) != guest.mac and str(one) not in found.sources
        for one in guest.addresses
    )


def _opened(guest: GuestNetwork) -> Iterator[_Socket]:
    """Open two sockets at each link: messages must not be lost among the guest's own traffic."""
    messages = bpf.program(bpf.CAPTURE_RULES)
    wanted: list[tuple[str, tuple[bpf.Instruction, ...], _Take, int]] = [
        (guest.tap, bpf.EVERYTHING, traffic.at_tap, _MOST_FRAMES),
        (guest.tap, messages, traffic.messages_at_tap, _MOST_MESSAGES),
    ]
    if guest.nic and guest.nic != guest.tap:
        wanted += [
            (guest.nic, bpf.EVERYTHING, traffic.at_nic, _MOST_FRAMES),
            (guest.nic, messages, traffic.messages_at_nic, _MOST_MESSAGES),
        ]
    for link, rules, take, most in wanted:
        try:
            port = Port.open(link, rules)
        except OSError:  # the link is gone, as other findings say
            continue
        # What the guest is told, by others or by dsbridge, goes out by its tap.
        port.hear_outgoing(wanted=take is traffic.messages_at_tap)
        yield _Socket(port, guest, take, most)


def _until(until: float, sockets: dict[int, _Socket], found: dict[str, Traffic]) -> None:
    poll = select.poll()
    for number in sockets:
        poll.register(number, select.POLLIN)
    while (left := until - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            one = sockets[number]
            of_one, one.left = found[one.guest.network], one.left - 1
            try:
                frame, vid = one.port.receive_one()
            except OSError:  # the link went down or away
                one.left = 0
            else:
                if vid == 0:
                    one.take(of_one, one.guest, frame, time.monotonic())
                elif one.take is traffic.at_tap:
                    of_one.vlans[vid] += 1
            if one.left <= 0:
                of_one.is_cut = True
                poll.unregister(number)


def _ask(port: Port, guest: GuestNetwork) -> None:
    ours = mac_bytes(OUR_MAC)
    for four in guest.ipv4[:_MOST_ADDRESSES]:
        asked = struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, 1) + ours + OUR_IPV4.packed
        header = mac_bytes(BROADCAST) + ours + struct.pack("!H", ETH_ARP)
        port.send(header + asked + bytes(6) + four.ip.packed)
    for six in guest.ipv6[:_MOST_ADDRESSES]:
        port.send(_solicitation(six.ip))
    if guest.ipv6:  # a guest with any IPv6 address shows it by its answer
        port.send(_to_group(_ALL_NODES, _ECHO))


def _solicitation(target: IPv6Address) -> bytes:
    option = b"\x01\x01" + mac_bytes(OUR_MAC)
    body = struct.pack("!BBHI", NEIGHBOR_SOLICITATION, 0, 0, 0) + target.packed + option
    return _to_group(solicited_node(target), body)


def _to_group(group: IPv6Address, body: bytes, source: IPv6Address = OUR_LINK_LOCAL) -> bytes:
    """Return a frame to a group with an ICMPv6 message whose checksum is still 0."""
    ours = mac_bytes(OUR_MAC)
    ends = source.packed + group.packed
    total = checksum(ends + struct.pack("!II", len(body), ICMPV6) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    header = mac_bytes(group_mac(group)) + ours + struct.pack("!H", ETH_IPV6)
    return header + struct.pack("!IHBB", 0x60000000, len(body), ICMPV6, 255) + ends + body
