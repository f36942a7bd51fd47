"""Neighbour discovery on the wire, for tests, and a guest's session run by a simulated clock."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_network
from pathlib import Path

from guest.ethernet import checksum, mac_bytes
from guest.exchange import Exchange
from guest.frame import Packet, parse
from guest.network import GuestNetwork, Route
from ra import guest_input, network_input
from ra.state import Action, Outcome, Solicit

VECTORS = Path(__file__).parent.parent / "vectors" / "ra"
MAC = "52:54:00:12:34:56"
"""The guest of all stored frames."""
GUEST_LL = "fe80::5054:ff:fe12:3456"
GATEWAY4, GATEWAY6 = IPv4Address("10.244.1.1"), IPv6Address("fd00:10:244:1::1")
OLD_MAC, NEW_MAC = "52:54:00:fe:00:01", "52:54:00:fe:00:02"
"""The gateway's, before and after it changed in the stored frames."""
OLD_LL, NEW_LL = "fe80::5054:ff:fefe:1", "fe80::5054:ff:fefe:2"
VIRTUAL = "fe80::d5b:1d9e"


def vector(name: str) -> bytes:
    """Return a stored frame."""
    lines = (VECTORS / f"{name}.hex").read_text().splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def vectors(prefix: str) -> list[str]:
    return sorted(path.stem for path in VECTORS.glob(f"{prefix}*.hex"))


def route(destination: str, gateway: str | None = None) -> Route:
    return Route(ip_network(destination), ip_address(gateway) if gateway else None)


def guest(**changes) -> GuestNetwork:
    """Return a dual-stack guest behind a gateway with global addresses."""
    settings = {
        "network": "default",
        "tap": "tap0",
        "mac": MAC,
        "mtu": 1450,
        "ipv4": (IPv4Interface("10.244.1.5/24"),),
        "ipv6": (IPv6Interface("fd00:10:244:1::5/64"),),
        "routes": (route("0.0.0.0/0", str(GATEWAY4)), route("::/0", str(GATEWAY6))),
    }
    return GuestNetwork(**(settings | changes))


def nd(  # noqa: PLR0913, PLR0917  # one header field each
    message: bytes,
    src: str = GUEST_LL,
    dst: str = "ff02::2",
    src_mac: str = MAC,
    dst_mac: str = "33:33:00:00:00:02",
    hop_limit: int = 255,
) -> bytes:
    """Put an ICMPv6 message, its checksum zero so far, into a frame."""
    ends = IPv6Address(src).packed + IPv6Address(dst).packed
    total = checksum(ends + struct.pack("!II", len(message), 58) + message)
    message = message[:2] + struct.pack("!H", total) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), 58, hop_limit) + ends
    return mac_bytes(dst_mac) + mac_bytes(src_mac) + b"\x86\xdd" + header + message


def rs(options: bytes = b"", code: int = 0) -> bytes:
    return bytes([133, code, 0, 0, 0, 0, 0, 0]) + options


def ns(target: str = VIRTUAL, options: bytes = b"", code: int = 0) -> bytes:
    return bytes([135, code, 0, 0, 0, 0, 0, 0]) + IPv6Address(target).packed + options


def lladdr(kind: int, mac: str) -> bytes:
    return bytes([kind, 1]) + mac_bytes(mac)


def na(target: str, mac: str, flags: int = 0x60, dst: str = "fd00:10:244:1::5") -> bytes:
    """Return the frame of an NA from the gateway: flags 0x80 R, 0x40 S, 0x20 O."""
    body = bytes([136, 0, 0, 0, flags, 0, 0, 0]) + IPv6Address(target).packed + lladdr(2, mac)
    return nd(body, target, dst, mac, MAC)


def arp(address: str, mac: str) -> bytes:
    """Return the frame of an ARP reply to the guest."""
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2)
    body = fixed + mac_bytes(mac) + IPv4Address(address).packed + mac_bytes(MAC)
    return mac_bytes(MAC) + mac_bytes(mac) + b"\x08\x06" + body + guest().ipv4[0].ip.packed


def options(octets: bytes) -> list[tuple[int, bytes]]:
    """Return (type, content) of options that must fill their octets exactly."""
    found = []
    while octets:
        assert octets[1] > 0
        assert octets[1] * 8 <= len(octets)
        found.append((octets[0], octets[2 : octets[1] * 8]))
        octets = octets[octets[1] * 8 :]
    return found


def spoken(frame: bytes) -> Packet:
    """Return the inside of a frame that must be valid, checksum and hop limit included."""
    packet = parse(frame)
    assert packet is not None
    assert packet.hop_limit == 255
    return packet


@dataclass(frozen=True, slots=True)
class Advertisement:
    """An RA, read back from its octets."""

    packet: Packet
    cur_hop_limit: int
    flags: int
    lifetime: int
    reachable: int
    retrans: int
    options: list[tuple[int, bytes]]

    def all(self, kind: int) -> list[bytes]:
        return [content for number, content in self.options if number == kind]


def ra(frame: bytes) -> Advertisement:
    packet = spoken(frame)
    kind, code, _, hops, flags, *rest = struct.unpack_from("!BBHBBHII", packet.payload)
    assert (kind, code) == (134, 0)
    return Advertisement(packet, hops, flags, *rest, options(packet.payload[16:]))


@dataclass
class Clocked:
    """A session with its guest, its network and a clock that only the test moves."""

    guest: GuestNetwork
    now: float = 1000.0
    log: list[tuple[float, Action]] = field(default_factory=list)
    stations: dict[str, set[str]] = field(default_factory=dict)
    """Machines on the pod network by MAC, and the addresses that they answer for at once."""

    def __post_init__(self) -> None:
        self.state = guest_input.start(self.guest, self.now)

    def _take(self, step: Outcome) -> list[Action]:
        self.state, actions = step
        self.log += [(self.now, action) for action in actions]
        answers = [frame for one in asked(list(actions)) for frame in self._answers(one.frame)]
        return [*actions, *(action for frame in answers for action in self.hears(frame))]

    def _answers(self, question: bytes) -> list[bytes]:
        is_arp = question[12:14] == b"\x08\x06"
        target = str(ip_address(question[38:42] if is_arp else question[62:78]))
        reached = [
            mac for mac in self.stations if question[0] & 1 or question[:6] == mac_bytes(mac)
        ]
        return [
            arp(target, mac) if is_arp else na(target, mac)
            for mac in reached
            if target in self.stations[mac]
        ]

    def says(self, frame: bytes) -> list[Action]:
        """Let the guest send a frame that must be well-formed up to its checksum."""
        packet = parse(frame)
        assert packet is not None
        return self._take(guest_input.from_guest(self.state, self.guest, packet, self.now))

    def stirs(self) -> list[Action]:
        """Let the guest send something that is neither RS nor NS."""
        return self._take(guest_input.from_guest(self.state, self.guest, None, self.now))

    def hears(self, frame: bytes) -> list[Action]:
        """Let a frame come in on the pod NIC."""
        return self._take(network_input.from_network(self.state, self.guest, frame, self.now))

    def run(self, seconds: float) -> list[Action]:
        """Let time pass; a timer that does not move on fails the test."""
        end, actions, wakes = self.now + seconds, [], 0
        while (at := guest_input.wake_at(self.state)) is not None and at <= end:
            wakes += 1
            assert wakes < 100 + seconds * 10, "the session wakes without end"
            self.now = max(self.now, at)
            actions += self._take(guest_input.due(self.state, self.guest, self.now))
        self.now = end
        return actions


def replies(actions: list[Action], reply: str) -> list[Exchange]:
    return [a for a in actions if isinstance(a, Exchange) and a.reply == reply]


def asked(actions: list[Action]) -> list[Solicit]:
    return [a for a in actions if isinstance(a, Solicit)]


RESOLVED = vector("na-kernel-solicited")
PROBED = na(OLD_LL, OLD_MAC)
POD_LL = "fe80::ecee:eeff:feee:eeee"
CALICO = guest(routes=(route("0.0.0.0/0", str(GATEWAY4)), route("::/0", POD_LL)))


def sources(actions: list[Action]) -> list[tuple[str, int]]:
    """Return (source, router lifetime) of each RA."""
    adverts = [ra(action.frame) for action in replies(actions, "RA")]
    return [(str(advert.packet.src), advert.lifetime) for advert in adverts]


def targets(actions: list[Action]) -> list[str]:
    """Return the addresses that frames for the pod NIC ask everybody for."""
    notes = [action.note for action in asked(actions)]
    return [note.removeprefix("who has ") for note in notes if note.startswith("who has ")]


def verified(actions: list[Action]) -> list[str]:
    """Return the questions to one MAC: `does MAC have ADDRESS`."""
    return [action.note for action in asked(actions) if action.note.startswith("does ")]


def settled(kind: str, configured: GuestNetwork | None = None) -> Clocked:
    """Return a session at rest with a router of that kind and all gateways at OLD_MAC."""
    one = Clocked(configured or (CALICO if kind == "pod" else guest()))
    one.says(vector("rs-kernel"))
    one.hears(vector("arp-kernel-reply"))
    one.hears(na(POD_LL, OLD_MAC) if kind == "pod" else RESOLVED)
    if kind == "eui64":
        one.hears(PROBED)
    one.run(60)
    router = guest_input.router(one.state)
    assert router is not None
    assert (router.source, router.lladdr) == (kind, OLD_MAC)
    return one
