"""DHCP and router messages, plain and in every disguise that has slipped past a guard."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Advertise, DHCP6_Solicit
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, LLC, SNAP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from guest.network import OUR_LINK_LOCAL

ALL4, ALL6 = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"
_PAD = [PadN(optdata=b"\0" * 4)]


def _v4(payload: Packet, **header) -> Packet:
    return IP(src="0.0.0.0", dst="255.255.255.255", **header) / payload


def _v6(*layers: Packet, dst: str = "ff02::1") -> Packet:
    packet = IPv6(src="fe80::66", dst=dst, hlim=255)
    for layer in layers:
        packet /= layer
    return packet


def _dhcp4(kind: str, sport: int, dport: int) -> Packet:
    op = 1 if kind in ("discover", "request") else 2
    return (
        UDP(sport=sport, dport=dport)
        / BOOTP(op=op, chaddr=b"\2\0\0\0\0\x42")
        / DHCP(options=[("message-type", kind), "end"])
    )


def _framed(name: str, mac: str, packet: Packet) -> dict[str, bytes]:
    """Name the ways of putting one packet on the wire."""
    kind = 0x0800 if packet.version == 4 else 0x86DD
    ether = Ether(dst=mac, src="02:00:00:00:00:66")
    length = {"type": len(LLC() / SNAP() / packet)}
    framings = {
        name: ether / packet,
        f"{name}, VLAN 0": ether / Dot1Q(vlan=0) / packet,
        f"{name}, VLAN 5": ether / Dot1Q(vlan=5) / packet,
        f"{name}, VLAN 0 twice": ether / Dot1Q(vlan=0) / Dot1Q(vlan=0) / packet,
        f"{name}, VLAN 0 in 802.1ad": ether / Dot1AD(vlan=0) / Dot1Q(vlan=0) / packet,
        f"{name}, three tags": ether / Dot1Q(vlan=0) / Dot1Q(vlan=0) / Dot1Q(vlan=0) / packet,
        f"{name}, SNAP": Ether(dst=mac, **length) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
        / SNAP(OUI=0, code=kind) / packet,
        f"{name}, SNAP in VLAN 0": Ether(dst=mac, type=0x8100)
        / Dot1Q(vlan=0, **length) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
        / SNAP(OUI=0, code=kind) / packet,
    }  # fmt: skip
    return {label: bytes(frame) for label, frame in framings.items()}


def _in_ipv4(name: str, payload: Packet) -> dict[str, bytes]:
    first = IP(bytes(_v4(payload, flags="MF")))
    return {
        **_framed(name, ALL4, _v4(payload)),
        f"{name}, IP options": bytes(Ether(dst=ALL4) / _v4(payload, options=b"\x94\4\0\0")),
        f"{name}, first fragment": bytes(Ether(dst=ALL4) / first),
    }


def _in_ipv6(name: str, make: Callable[[], Packet]) -> dict[str, bytes]:
    message = make()
    chains: dict[str, tuple[Packet, ...]] = {
        "hop-by-hop": (IPv6ExtHdrHopByHop(options=_PAD),),
        "destination options": (IPv6ExtHdrDestOpt(options=_PAD),),
        "routing header": (IPv6ExtHdrRouting(addresses=[]),),
        "atomic fragment": (IPv6ExtHdrFragment(m=0, offset=0, id=7),),
        "first fragment": (IPv6ExtHdrFragment(m=1, offset=0, id=7),),
        "three headers": (
            IPv6ExtHdrHopByHop(options=_PAD),
            IPv6ExtHdrDestOpt(options=_PAD),
            IPv6ExtHdrFragment(m=0, offset=0, id=7),
        ),
    }
    frames = _framed(name, ALL6, _v6(message))
    for label, headers in chains.items():
        frames[f"{name}, {label}"] = bytes(Ether(dst=ALL6) / _v6(*headers, make()))
    # The upper header only comes with the second fragment (RFC 7112 forbids it).
    hidden = bytes(IPv6ExtHdrDestOpt(nh=message.overload_fields.get(IPv6, {}).get("nh", 58)))[:1]
    cut = IPv6ExtHdrFragment(nh=60, m=1, offset=0, id=7) / Raw(hidden + b"\x0f" + b"\1\4\0\0\0\0")
    frames[f"{name}, upper header in the second fragment"] = bytes(Ether(dst=ALL6) / _v6(cut))
    return frames


REQUESTS = {
    **_in_ipv4("DISCOVER", _dhcp4("discover", 68, 67)),
    **_in_ipv6("SOLICIT", lambda: UDP(sport=546, dport=547) / DHCP6_Solicit(trid=1)),
    **_in_ipv6("RS", ICMPv6ND_RS),
    "NS for our address": bytes(Ether(dst=ALL6) / _v6(ICMPv6ND_NS(tgt=str(OUR_LINK_LOCAL)))),
}
ANSWERS = {
    **_in_ipv4("OFFER", _dhcp4("offer", 67, 68)),
    **_in_ipv6("ADVERTISE", lambda: UDP(sport=547, dport=546) / DHCP6_Advertise(trid=1)),
    **_in_ipv6("RA", lambda: ICMPv6ND_RA(routerlifetime=1800)),
}
TO_A_RELAY = {
    "OFFER to a relay": bytes(Ether(dst=ALL4) / _v4(_dhcp4("offer", 67, 67))),
    "RELAY-REPLY": bytes(Ether(dst=ALL6) / _v6(UDP(sport=547, dport=547) / Raw(b"\x0d\0"))),
}
PLAIN_REQUESTS = {name: REQUESTS[name] for name in ("DISCOVER", "SOLICIT", "RS")}
PLAIN_ANSWERS = {name: ANSWERS[name] for name in ("OFFER", "ADVERTISE", "RA")}
_OTHER = IPv6Address("fe80::1")
INNOCENT = {
    "ARP": bytes(Ether(dst=ALL4) / ARP(pdst="10.0.0.1")),
    "ping": bytes(Ether(dst=ALL4) / _v4(ICMP())),
    "ping6": bytes(Ether(dst=ALL6) / _v6(ICMPv6EchoRequest())),
    "NS for the real gateway": bytes(Ether(dst=ALL6) / _v6(ICMPv6ND_NS(tgt=str(_OTHER)))),
    "NA of the real gateway": bytes(Ether(dst=ALL6) / _v6(ICMPv6ND_NA(tgt=str(_OTHER)))),
    "DNS": bytes(Ether(dst=ALL4) / _v4(UDP(sport=5000, dport=53))),
    "DNS6": bytes(Ether(dst=ALL6) / _v6(UDP(sport=5000, dport=53))),
    "TCP": bytes(Ether(dst=ALL4) / _v4(TCP(dport=67))),
    "TCP6": bytes(Ether(dst=ALL6) / _v6(TCP(dport=547))),
    "DNS in VLAN 5": bytes(Ether(dst=ALL4) / Dot1Q(vlan=5) / _v4(UDP(sport=5000, dport=53))),
    "a later IPv4 fragment": bytes(Ether(dst=ALL4) / _v4(Raw(b"\0\x43" * 8), frag=9, proto=17)),
    "a later IPv6 fragment": bytes(
        Ether(dst=ALL6) / _v6(IPv6ExtHdrFragment(nh=17, offset=9, m=0), Raw(b"\x02\x22" * 8))
    ),
    "MLD behind hop-by-hop": bytes(
        Ether(dst=ALL6) / _v6(IPv6ExtHdrHopByHop(nh=58, options=_PAD), Raw(b"\x8f\0" + bytes(22)))
    ),
    "no next header": bytes(Ether(dst=ALL6) / IPv6(src="fe80::66", dst="ff02::1", nh=59)),
    "CDP": bytes.fromhex("01000ccccccc 020000000066 0010 aaaa0300000c2000 02b40000") + bytes(40),
}
