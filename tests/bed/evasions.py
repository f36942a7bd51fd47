"""DHCP and router messages, plain and in every disguise that has slipped past a guard.

RFC 7113 section 2 (extension headers, fragments) and 3, RFC 6980, RFC 7112, CVE-2021-27853,
-27854, -27861 and -27862 (tags of VID 0, LLC/SNAP with any length).
"""

from __future__ import annotations

import struct

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (
    DHCP6_Advertise,
    DHCP6_InfoRequest,
    DHCP6_Reply,
    DHCP6_Solicit,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from guest.network import OUR_LINK_LOCAL
from tests.bed.ipv6_chains import (
    AH,
    DST,
    HOP,
    JUMBO,
    MOBILE,
    ROUTER_ALERT,
    SEGMENTS,
    Header,
    fragment,
    options,
    packet,
    routing,
    upper_of,
)

ALL4, ALL6 = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"
GUEST_MAC = "02:00:00:00:00:42"
IPV4, IPV6 = 0x0800, 0x86DD
Q, AD = 0x8100, 0x88A8
"""802.1Q and 802.1ad."""


def tag(vid: int, kind: int = Q, priority: int = 0) -> tuple[int, int]:
    return kind, priority << 13 | vid


def framed(dst: str, kind: int, inner: bytes, *tags: tuple[int, int]) -> bytes:
    """Return a frame with any tags before its ethertype, or length."""
    macs = bytes.fromhex((dst + "020000000066").replace(":", ""))
    return (
        macs + b"".join(struct.pack("!HH", *one) for one in tags) + struct.pack("!H", kind) + inner
    )


def snap(kind: int, inner: bytes, oui: bytes = bytes(3)) -> bytes:
    return b"\xaa\xaa\3" + oui + struct.pack("!H", kind) + inner


def framings(name: str, dst: str, kind: int, inner: bytes) -> dict[str, bytes]:
    """Name the ways of putting one packet on a wire that some guest reads as untagged."""
    inside = snap(kind, inner)
    length = len(inside)
    frames = {
        name: framed(dst, kind, inner),
        "VLAN 0": framed(dst, kind, inner, tag(0)),
        "VLAN 0, priority 7": framed(dst, kind, inner, tag(0, priority=7)),
        "VLAN 0, drop eligible": framed(dst, kind, inner, tag(0x1000)),
        "VLAN 4095": framed(dst, kind, inner, tag(4095)),
        "802.1ad VLAN 0": framed(dst, kind, inner, tag(0, AD)),
        "VLAN 0 twice": framed(dst, kind, inner, tag(0), tag(0)),
        "VLAN 0 in 802.1ad": framed(dst, kind, inner, tag(0, AD), tag(0)),
        "802.1ad in VLAN 0": framed(dst, kind, inner, tag(0), tag(0, AD)),
        "802.1ad twice": framed(dst, kind, inner, tag(0, AD), tag(0, AD)),
        "VLAN 5 in VLAN 0": framed(dst, kind, inner, tag(0), tag(5)),
        "three tags": framed(dst, kind, inner, tag(0), tag(0), tag(0)),
        "eight tags": framed(dst, kind, inner, *[tag(0)] * 8),
        "SNAP": framed(dst, length, inside),
        "SNAP of length 0": framed(dst, 0, inside),
        "SNAP, too long": framed(dst, 1500, inside),
        "SNAP, too short": framed(dst, 8, inside),
        "SNAP in VLAN 0": framed(dst, length, inside, tag(0)),
        "SNAP in 802.1ad VLAN 0": framed(dst, length, inside, tag(0, AD)),
        "SNAP of length 0 in VLAN 0": framed(dst, 0, inside, tag(0)),
        "SNAP in VLAN 0 twice": framed(dst, length, inside, tag(0), tag(0)),
        "VLAN 0 in SNAP": framed(
            dst, length + 4, snap(Q, struct.pack("!HH", 0, kind) + inner)
        ),
        "VLAN 0 in SNAP in VLAN 0": framed(
            dst, length + 4, snap(Q, struct.pack("!HH", 0, kind) + inner), tag(0)
        ),
    }  # fmt: skip
    return {label if label == name else f"{name}, {label}": one for label, one in frames.items()}


def dhcp4(kind: str, sport: int, dport: int, chaddr: str = GUEST_MAC, **more: str) -> Packet:
    op = 1 if kind in ("discover", "request", "inform") else 2
    mac = bytes.fromhex(chaddr.replace(":", ""))
    return (
        UDP(sport=sport, dport=dport)
        / BOOTP(op=op, chaddr=mac, xid=7, **more)
        / DHCP(options=[("message-type", kind), "end"])
    )


def ipv4(payload: Packet, src: str = "0.0.0.0", dst: str = "255.255.255.255", **header) -> bytes:
    return bytes(IP(src=src, dst=dst, **header) / payload)


def _cut(whole: bytes, octets: int) -> bytes:
    """Return the first fragment of an IPv4 packet, with so many octets of its payload."""
    first = IP(whole[: 20 + octets])
    first.flags, first.len, first.chksum = "MF", None, None
    return bytes(first)


def _in_ipv4(name: str, payload: Packet, dst: str = ALL4) -> dict[str, bytes]:
    whole = ipv4(payload)
    packets = {
        "router alert": ipv4(payload, options=b"\x94\4\0\0"),
        "record route": ipv4(payload, options=b"\7\7\4\0\0\0\0\0"),
        "source route": ipv4(payload, options=b"\x83\7\4\0\0\0\0\0"),
        "timestamp": ipv4(payload, options=b"\x44\x0c\5\0" + bytes(8)),
        "40 octets of options": ipv4(payload, options=b"\1" * 40),
        "do not fragment": ipv4(payload, flags="DF"),
        "reserved flag": ipv4(payload, flags="evil"),
        "first fragment": ipv4(payload, flags="MF"),
        "first fragment, options": ipv4(payload, flags="MF", options=b"\x94\4\0\0"),
        "first fragment of 64 octets": _cut(whole, 64),
        "first fragment without its DHCP header": _cut(whole, 8),
        "first fragment of 32 octets": _cut(whole, 32),
        "no checksum": whole[:26] + b"\0\0" + whole[28:],
        "wrong checksum": whole[:26] + b"\xde\xad" + whole[28:],
        "TTL 1": ipv4(payload, ttl=1),
        "padded to a jumbo frame": whole + bytes(3000),
        "a jumbo frame": ipv4(payload / Raw(bytes(3000))),
    }  # fmt: skip
    frames = framings(name, dst, IPV4, whole)
    for label, one in packets.items():
        frames[f"{name}, {label}"] = framed(dst, IPV4, one)
        frames[f"{name}, {label}, VLAN 0"] = framed(dst, IPV4, one, tag(0))
    return frames


CHAINS: dict[str, tuple[Header, ...]] = {
    "hop-by-hop": (HOP,),
    "router alert": (ROUTER_ALERT,),
    "destination options": (DST,),
    "64 octets of destination options": (options(60, 7),),
    "1400 octets of destination options": (options(60, 174),),
    "routing header": (routing(0),),
    "mobile routing": (MOBILE,),
    "segment routing": (SEGMENTS,),
    "authentication header": (AH,),
    "atomic fragment": (fragment(more=False),),
    "first fragment": (fragment(more=True),),
    "first fragment behind options": (DST, fragment(more=True)),
    "first fragment with options": (fragment(more=True), DST),
    "atomic fragment with options": (fragment(more=False), DST),
    "fragment in a fragment": (fragment(more=False), fragment(more=False)),
    "three headers": (HOP, DST, fragment(more=False)),
    "all headers": (HOP, DST, routing(0), fragment(more=False), AH, DST),
    "options twice": (DST, DST),
    "twelve headers": (DST,) * 12,
    "hop-by-hop out of place": (DST, HOP),
    "jumbo payload": (JUMBO,),
    "jumbo payload and options": (JUMBO, DST),
}


def _in_ipv6(name: str, message: Packet, dst: str = ALL6, to: str = "ff02::1") -> dict[str, bytes]:
    protocol, upper = upper_of(message, to)
    frames = framings(name, dst, IPV6, packet(protocol, upper, dst=to))
    for label, headers in CHAINS.items():
        whole = packet(protocol, upper, *headers, dst=to)
        frames[f"{name}, {label}"] = framed(dst, IPV6, whole)
        frames[f"{name}, {label}, VLAN 0"] = framed(dst, IPV6, whole, tag(0))
    # RFC 7112 forbids a first fragment that does not reach the upper header.
    behind = options(60)[1](protocol)
    hidden = {
        "upper header in the second fragment": packet(
            60, behind, fragment(more=True), dst=to
        ),
        "options cut by the fragment": packet(
            60, bytes((protocol, 9)) + bytes(6), fragment(more=True), dst=to
        ),
        "upper header in the second fragment, behind hop-by-hop": packet(
            60, behind, HOP, fragment(more=True), dst=to
        ),
        "a first fragment of nothing": packet(protocol, b"", fragment(more=True), dst=to),
        "headers that run past the end": packet(60, bytes((protocol, 200)) + bytes(6), dst=to),
        "a jumbo frame": packet(*upper_of(message / Raw(bytes(3000)), to), dst=to),
        "padded to a jumbo frame": packet(protocol, upper, dst=to) + bytes(3000),
        "from a global address": packet(protocol, upper, dst=to, src="2001:db8::66"),
    }  # fmt: skip
    for label, whole in hidden.items():
        frames[f"{name}, {label}"] = framed(dst, IPV6, whole)
    return frames


_SERVERS = "ff02::1:2"
REQUESTS = {
    **_in_ipv4("DISCOVER", dhcp4("discover", 68, 67)),
    **_in_ipv6("SOLICIT", UDP(sport=546, dport=547) / DHCP6_Solicit(trid=1)),
    **_in_ipv6("RS", ICMPv6ND_RS()),
    **framings("INFORM", ALL4, IPV4, ipv4(dhcp4("inform", 68, 67), src="10.0.0.42")),
    "DISCOVER from port 1068": framed(ALL4, IPV4, ipv4(dhcp4("discover", 1068, 67))),
    "DISCOVER to our MAC": framed("02:00:0d:5b:1d:9e", IPV4, ipv4(dhcp4("discover", 68, 67))),
    "renewal": framed(
        "02:00:00:00:00:01", IPV4, ipv4(dhcp4("request", 68, 67), "10.0.0.42", "192.0.0.8")
    ),
    "Information-Request to all servers of the site": framed(
        "33:33:00:01:00:03",
        IPV6,
        packet(
            *upper_of(UDP(sport=546, dport=547) / DHCP6_InfoRequest(), "ff05::1:3"), dst="ff05::1:3"
        ),
    ),
    "SOLICIT to our address": framed(
        "02:00:0d:5b:1d:9e",
        IPV6,
        packet(
            *upper_of(UDP(sport=546, dport=547) / DHCP6_Solicit(), str(OUR_LINK_LOCAL)),
            dst=str(OUR_LINK_LOCAL),
        ),
    ),
    "NS for our address": framed(
        ALL6, IPV6, packet(*upper_of(ICMPv6ND_NS(tgt=str(OUR_LINK_LOCAL))))
    ),
    "NS for our address, VLAN 0": framed(
        ALL6, IPV6, packet(*upper_of(ICMPv6ND_NS(tgt=str(OUR_LINK_LOCAL)))), tag(0)
    ),
    "ARP for our address": bytes(Ether(dst=ALL4, src=GUEST_MAC) / ARP(op=1, pdst="192.0.0.8")),
    "ARP for our address, VLAN 0": framed(ALL4, 0x0806, bytes(ARP(op=1, pdst="192.0.0.8")), tag(0)),
}
ANSWERS = {
    **_in_ipv4("OFFER", dhcp4("offer", 67, 68)),
    **_in_ipv6("ADVERTISE", UDP(sport=547, dport=546) / DHCP6_Advertise(trid=1)),
    **_in_ipv6("RA", ICMPv6ND_RA(routerlifetime=1800)),
    **framings(
        "ACK to the guest", GUEST_MAC, IPV4, ipv4(dhcp4("ack", 67, 68), "10.0.0.1", "10.0.0.42")
    ),
    **framings(
        "REPLY to the guest",
        GUEST_MAC,
        IPV6,
        packet(
            *upper_of(UDP(sport=547, dport=546) / DHCP6_Reply(trid=1), "fe80::42"), dst="fe80::42"
        ),
    ),
    "OFFER from port 1067": framed(ALL4, IPV4, ipv4(dhcp4("offer", 1067, 68))),
    "RA to the guest": framed(
        GUEST_MAC, IPV6, packet(*upper_of(ICMPv6ND_RA(), "fe80::42"), dst="fe80::42")
    ),
}
TO_A_RELAY = {
    "OFFER to a relay": framed(ALL4, IPV4, ipv4(dhcp4("offer", 67, 67))),
    "RELAY-REPLY": framed(
        ALL6, IPV6, packet(*upper_of(UDP(sport=547, dport=547) / Raw(b"\x0d\0" + bytes(32))))
    ),
}
PLAIN_REQUESTS = {name: REQUESTS[name] for name in ("DISCOVER", "SOLICIT", "RS")}
PLAIN_ANSWERS = {name: ANSWERS[name] for name in ("OFFER", "ADVERTISE", "RA")}
