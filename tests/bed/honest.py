"""Traffic that a guard must let pass, however near it comes to a DHCP or router message."""

from __future__ import annotations

import struct

from scapy.layers.dhcp6 import DHCP6_Solicit
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tests.bed.evasions import AD as SERVICE
from tests.bed.evasions import (
    ALL4,
    ALL6,
    CHAINS,
    IPV4,
    IPV6,
    Q,
    dhcp4,
    framed,
    ipv4,
    snap,
    tag,
)
from tests.bed.ipv6_chains import AH, DST, HOP, ROUTER_ALERT, fragment, packet, upper_of

GATEWAY = "02:00:00:00:00:01"
GUEST4, GATEWAY4, ELSEWHERE4 = "10.0.0.42", "10.0.0.1", "192.0.2.9"
GUEST6, ELSEWHERE6 = "fd00::42", "2001:db8::9"
_ANOTHER_CLIENT = "02:00:00:00:00:77"


def _udp4(sport: int, dport: int, data: bytes = b"data", dst: str = ELSEWHERE4, **ip) -> bytes:
    segment = UDP(sport=sport, dport=dport) / Raw(data)
    return framed(GATEWAY, IPV4, ipv4(segment, GUEST4, dst, **ip))


def _udp6(sport: int, dport: int, data: bytes = b"data", dst: str = ELSEWHERE6) -> bytes:
    upper = upper_of(UDP(sport=sport, dport=dport) / Raw(data), dst, GUEST6)
    return framed(GATEWAY, IPV6, packet(*upper, dst=dst, src=GUEST6))


def _above4(protocol: int, data: bytes = bytes(32), dst: str = ELSEWHERE4) -> bytes:
    return framed(GATEWAY, IPV4, ipv4(Raw(data), GUEST4, dst, proto=protocol))


def _above6(message: Packet, *headers, dst: str = ELSEWHERE6, src: str = GUEST6) -> bytes:
    return framed(GATEWAY, IPV6, packet(*upper_of(message, dst, src), *headers, dst=dst, src=src))


def _arp(**fields) -> bytes:
    return bytes(Ether(dst=ALL4) / ARP(**fields))


_UDP = {
    "TFTP": 69, "DNS": 53, "NTP": 123, "mDNS": 5353, "SSDP": 1900, "NetBIOS": 137, "IKE": 500,
    "NAT traversal": 4500, "SNMP": 161, "syslog": 514, "QUIC": 443, "WireGuard": 51820,
    "SIP": 5060, "ProxyDHCP of PXE": 4011, "Kerberos": 88, "LDAP": 389, "RADIUS": 1812,
    "BFD": 3784, "RIP": 520, "LLMNR": 5355, "WS-Discovery": 3702, "echo": 7, "port 66": 66,
    "port 70": 70, "port 545": 545, "port 548": 548, "port 65535": 65535, "port 17152": 0x4300,
    "port 8962": 0x2302,
}  # fmt: skip
_PROTOCOLS4 = {
    "IGMP": 2, "IP in IP": 4, "EGP": 8, "RSVP": 46, "GRE": 47, "ESP": 50, "AH": 51, "EIGRP": 88,
    "OSPF": 89, "PIM": 103, "VRRP": 112, "L2TP": 115, "SCTP": 132, "UDP-Lite": 136,
    "ICMPv6's number in IPv4": 58, "6in4": 41,
}  # fmt: skip
_PROTOCOLS6 = {
    "IP in IPv6": 4, "IPv6 in IPv6": 41, "RSVP6": 46, "GRE6": 47, "ESP6": 50, "EIGRP6": 88,
    "OSPFv3": 89, "PIM6": 103, "VRRP6": 112, "SCTP6": 132, "mobility": 135, "UDP-Lite6": 136,
    "HIP": 139, "shim6": 140,
}  # fmt: skip
_ETHERTYPES = {
    "PPPoE discovery": 0x8863, "PPPoE session": 0x8864, "MPLS": 0x8847, "EAPOL": 0x888E,
    "RARP": 0x8035, "IPX": 0x8137, "AppleTalk": 0x809B, "Wake-on-LAN": 0x0842, "PTP": 0x88F7,
    "PROFINET": 0x8892, "EtherCAT": 0x88A4, "ATA over Ethernet": 0x88A2, "FCoE": 0x8906,
    "MACsec": 0x88E5, "RoCE": 0x8915, "Ethernet loopback": 0x9000, "TRILL": 0x22F3,
    "batman-adv": 0x4305, "NSH": 0x894F, "HSR": 0x892F, "LLDP to one station": 0x88CC,
    "old QinQ": 0x9100, "local experiment": 0x88B6, "type 0x0600": 0x0600,
}  # fmt: skip
_PLAIN: dict[str, bytes] = {
    "ARP": _arp(pdst=GATEWAY4),
    "ARP reply": _arp(op=2, psrc=GUEST4, pdst=GATEWAY4),
    "ARP announcement": _arp(psrc=GUEST4, pdst=GUEST4),
    "ARP probe": _arp(psrc="0.0.0.0", pdst=GUEST4),
    "ping": framed(GATEWAY, IPV4, ipv4(ICMP(), GUEST4, ELSEWHERE4)),
    "ping of 8000 octets": framed(
        GATEWAY, IPV4, ipv4(ICMP() / Raw(bytes(8000)), GUEST4, ELSEWHERE4)
    ),
    "unreachable port that quotes DHCP": framed(
        GATEWAY,
        IPV4,
        ipv4(ICMP(type=3, code=3) / ipv4(dhcp4("discover", 68, 67)), GUEST4, ELSEWHERE4),
    ),
    "ping6": _above6(ICMPv6EchoRequest()),
    "answer to ping6": _above6(ICMPv6EchoReply()),
    "ping6 to all nodes": _above6(ICMPv6EchoRequest(), dst="ff02::1"),
    "NS for the real gateway": _above6(ICMPv6ND_NS(tgt="fe80::1"), dst="ff02::1:ff00:1"),
    "NS from ::": _above6(ICMPv6ND_NS(tgt=GUEST6), dst="ff02::1:ff00:42", src="::"),
    "NA of the real gateway": _above6(ICMPv6ND_NA(tgt="fe80::1"), dst="ff02::1"),
    "Redirect": _above6(ICMPv6ND_Redirect(), dst="fe80::1", src="fe80::42"),
    "TCP": framed(GATEWAY, IPV4, ipv4(TCP(dport=67), GUEST4, ELSEWHERE4)),
    "TCP6": _above6(TCP(dport=547)),
    "UDP without data": _udp4(5000, 53, b""),
    "UDP of 8000 octets": _udp4(5000, 6000, bytes(8000)),
    "UDP behind IPv4 options": _udp4(5000, 53, options=b"\x94\4\0\0"),
    "first fragment of UDP": _udp4(5000, 2049, bytes(64), flags="MF"),
    "a later IPv4 fragment": framed(
        ALL4, IPV4, ipv4(Raw(b"\0\x43" * 8), GUEST4, ELSEWHERE4, frag=9, proto=17)
    ),
    "the last IPv4 fragment, which looks like DHCP": framed(
        ALL4, IPV4, ipv4(Raw(b"\0\x44\0\x43" * 8), GUEST4, ELSEWHERE4, frag=9, proto=17)
    ),
    "a later IPv6 fragment": framed(
        ALL6, IPV6, packet(17, b"\2\x22\2\x23" * 8, fragment(9, more=False))
    ),
    "a later IPv6 fragment in the middle": framed(
        ALL6, IPV6, packet(17, b"\2\x23\2\x22" * 8, fragment(9, more=True))
    ),
    "a later fragment of ICMPv6, which looks like an RA": framed(
        ALL6, IPV6, packet(58, b"\x86\0" * 8, fragment(9, more=False))
    ),
    "a later fragment of options": framed(
        ALL6, IPV6, packet(60, b"\x3a\0" * 8, fragment(9, more=False))
    ),
    "first fragment of ping6": _above6(ICMPv6EchoRequest(data=bytes(64)), fragment(more=True)),
    "MLD": framed(
        ALL6, IPV6, packet(58, b"\x8f\0" + bytes(22), ROUTER_ALERT, dst="ff02::16")
    ),
    "old MLD": framed(ALL6, IPV6, packet(58, b"\x83\0" + bytes(22), HOP)),
    "multicast router discovery": framed(ALL6, IPV6, packet(58, b"\x97\0" + bytes(6), HOP)),
    "ICMPv6 error that quotes an RA": framed(
        GATEWAY, IPV6, packet(58, b"\1\4" + bytes(6) + b"\x86\0" + bytes(40), dst=ELSEWHERE6)
    ),
    "certification path": framed(ALL6, IPV6, packet(58, b"\x94\0" + bytes(12))),
    "no next header": framed(ALL6, IPV6, packet(59, b"")),
    "CDP": framed("01:00:0c:cc:cc:cc", 0x10, snap(0x2000, b"\2\xb4" + bytes(40), b"\0\0\x0c")),
    "AppleTalk ARP in SNAP": framed(ALL4, 44, snap(0x80F3, bytes(36))),
    "IPX in SNAP": framed(ALL4, 44, snap(0x8137, bytes(36))),
    "IPX in 802.3": framed(ALL4, 34, b"\xff\xff" + bytes(32)),
    "NetBEUI": framed(ALL4, 40, b"\xf0\xf0\3" + bytes(37)),
    "IS-IS": framed("09:00:2b:00:00:05", 40, b"\xfe\xfe\3" + bytes(37)),
    "VXLAN with a DISCOVER inside": _udp4(
        49152, 4789, bytes(8) + framed(ALL4, IPV4, ipv4(dhcp4("discover", 68, 67)))
    ),
    "Geneve with an RA inside": _udp4(
        49152, 6081, bytes(8) + framed(ALL6, IPV6, packet(*upper_of(ICMPv6ND_RA())))
    ),
    **{name: _udp4(5000, port) for name, port in _UDP.items()},
    **{f"{name} over IPv6": _udp6(5000, port) for name, port in _UDP.items()},
    **{name: _above4(number) for name, number in _PROTOCOLS4.items()},
    **{
        name: framed(GATEWAY, IPV6, packet(number, bytes(32), dst=ELSEWHERE6, src=GUEST6))
        for name, number in _PROTOCOLS6.items()
    },
    **{
        f"{name} behind an authentication header": framed(
            ALL6, IPV6, packet(number, bytes(32), AH, dst="ff02::5")
        )
        for name, number in {"OSPFv3": 89, "PIM": 103, "VRRP": 112, "ESP": 50}.items()
    },
    **{name: framed(GATEWAY, kind, bytes(46)) for name, kind in _ETHERTYPES.items()},
    **{
        f"ping6 behind {name}": _above6(ICMPv6EchoRequest(), *headers)
        for name, headers in CHAINS.items()
    },
    **{
        f"DNS behind {name}": _above6(UDP(sport=5000, dport=53) / Raw(b"data"), *headers)
        for name, headers in CHAINS.items()
    },
    **{
        f"TCP6 behind {name}": _above6(TCP(dport=443), *headers)
        for name, headers in CHAINS.items()
    },
}  # fmt: skip
# Plain frames with a priority, as Windows guests and storage networks send them.
_PRIORITY = {
    f"{name}, VLAN 0": frame[:12] + struct.pack("!HH", Q, 5 << 13) + frame[12:]
    for name, frame in _PLAIN.items()
    if name in {"ARP", "ping", "ping6", "TCP", "TCP6", "DNS", "a later IPv4 fragment", "CDP", "PTP"}
}


def _of_other_networks(name: str, dst: str, kind: int, inner: bytes) -> dict[str, bytes]:
    """Name the ways of sending something in a network that has a VID."""
    inside = snap(kind, inner)
    tags = {
        "VLAN 1": (tag(1),),
        "VLAN 5": (tag(5),),
        "VLAN 4094, priority 7": (tag(4094, priority=7),),
        "802.1ad VLAN 5": (tag(5, SERVICE),),
        "QinQ": (tag(5, SERVICE), tag(7)),
        "QinQ with two C-tags": (tag(5), tag(7)),
        "VLAN 0 in VLAN 5": (tag(5), tag(0)),
        "QinQ, three tags": (tag(5, SERVICE), tag(0), tag(9)),
    }
    frames = {label: framed(dst, kind, inner, *each) for label, each in tags.items()}
    frames["SNAP in VLAN 5"] = framed(dst, len(inside), inside, tag(5))
    return {f"{name}, {label}": frame for label, frame in frames.items()}


_SOLICIT = UDP(sport=546, dport=547) / DHCP6_Solicit(trid=1)
OTHER_NETWORKS = {
    **_of_other_networks("DISCOVER", ALL4, IPV4, ipv4(dhcp4("discover", 68, 67))),
    **_of_other_networks("OFFER", ALL4, IPV4, ipv4(dhcp4("offer", 67, 68))),
    **_of_other_networks("SOLICIT", ALL6, IPV6, packet(*upper_of(_SOLICIT))),
    **_of_other_networks("RS", ALL6, IPV6, packet(*upper_of(ICMPv6ND_RS()))),
    **_of_other_networks("RA", ALL6, IPV6, packet(*upper_of(ICMPv6ND_RA()))),
    **_of_other_networks(
        "ping6 behind options", ALL6, IPV6, packet(*upper_of(ICMPv6EchoRequest()), DST)
    ),
    **_of_other_networks(
        "RA, first fragment", ALL6, IPV6, packet(*upper_of(ICMPv6ND_RA()), DST, fragment(more=True))
    ),
    **_of_other_networks("ARP for our address", ALL4, 0x0806, bytes(ARP(pdst="192.0.0.8"))),
    **_of_other_networks("DNS", GATEWAY, IPV4, _udp4(5000, 53)[14:]),
    **_of_other_networks("TCP", GATEWAY, IPV4, ipv4(TCP(dport=443), GUEST4, ELSEWHERE4)),
}
"""Both ways, whatever it is: a VID of 1 to 4094 is another network's."""
INNOCENT = {**_PLAIN, **_PRIORITY, **OTHER_NETWORKS}


def _relayed(kind: str, src: str, dst: str, sport: int, dport: int) -> bytes:
    message = dhcp4(kind, sport, dport, _ANOTHER_CLIENT, giaddr=GATEWAY4)
    return framed(GATEWAY, IPV4, ipv4(message, src, dst))


def _dhcp6(sport: int, dport: int, kind: int, dst: str, src: str = GUEST6) -> bytes:
    mac = ALL6 if dst.startswith("ff") else GATEWAY
    upper = upper_of(UDP(sport=sport, dport=dport) / Raw(bytes((kind,)) + bytes(40)), dst, src)
    return framed(mac, IPV6, packet(*upper, dst=dst, src=src))


FROM_OTHER_CLIENTS = {
    "renewal of another client": framed(
        GATEWAY, IPV4, ipv4(dhcp4("request", 68, 67, _ANOTHER_CLIENT), "198.51.100.7", ELSEWHERE4)
    ),
    "renewal at a remote server": framed(
        GATEWAY, IPV4, ipv4(dhcp4("request", 68, 67), GUEST4, ELSEWHERE4)
    ),
    "DISCOVER of another client": framed(
        ALL4, IPV4, ipv4(dhcp4("discover", 68, 67, _ANOTHER_CLIENT))
    ),
    "DHCPv6 renewal at a remote server": _dhcp6(546, 547, 5, ELSEWHERE6),
}
"""Clients behind the guest, and servers that are not here: not ours to answer."""
FROM_SERVERS_AND_RELAYS = {
    "relay to a server": _relayed("discover", GUEST4, ELSEWHERE4, 67, 67),
    "server to a relay": _relayed("offer", GUEST4, "198.51.100.1", 67, 67),
    "server to the gateway that relays": _relayed("offer", GUEST4, GATEWAY4, 67, 67),
    "server to a client": framed(
        _ANOTHER_CLIENT, IPV4, ipv4(dhcp4("ack", 67, 68, _ANOTHER_CLIENT), GUEST4, "10.0.0.77")
    ),
    "server to all clients": framed(
        ALL4, IPV4, ipv4(dhcp4("offer", 67, 68, _ANOTHER_CLIENT), GUEST4, "255.255.255.255")
    ),
    "DHCPv6 relay to all servers": _dhcp6(547, 547, 12, "ff05::1:3"),
    "DHCPv6 relay to a server": _dhcp6(547, 547, 12, ELSEWHERE6),
    "DHCPv6 relay to all servers and relays": _dhcp6(547, 547, 12, "ff02::1:2", "fe80::42"),
    "DHCPv6 server to a relay": _dhcp6(547, 547, 13, "2001:db8::1"),
    "DHCPv6 server to a relay on the link": _dhcp6(547, 547, 13, "fe80::77", "fe80::42"),
    "DHCPv6 server to a client": _dhcp6(547, 546, 7, "fe80::77", "fe80::42"),
    "router": framed(ALL6, IPV6, packet(*upper_of(ICMPv6ND_RA(routerlifetime=1800)))),
}
"""What `shield: false` allows the guest."""
TO_OTHERS = {
    "server to our relay": _relayed("offer", ELSEWHERE4, GUEST4, 67, 67),
    "answer to the renewal of another client": framed(
        GATEWAY, IPV4, ipv4(dhcp4("ack", 67, 68, _ANOTHER_CLIENT), ELSEWHERE4, "198.51.100.7")
    ),
    "DISCOVER of a neighbour": framed(ALL4, IPV4, ipv4(dhcp4("discover", 68, 67, _ANOTHER_CLIENT))),
    "SOLICIT of a neighbour": _dhcp6(546, 547, 1, "ff02::1:2", "fe80::77"),
    "RS of a neighbour": framed(ALL6, IPV6, packet(*upper_of(ICMPv6ND_RS()))),
    "DHCPv6 server to our relay": _dhcp6(547, 547, 13, GUEST6, ELSEWHERE6),
    "DHCPv6 answer to another client": _dhcp6(547, 546, 7, "2001:db8:1::77", ELSEWHERE6),
}
"""From the network: what servers, relays, routers and clients behind the guest need."""
