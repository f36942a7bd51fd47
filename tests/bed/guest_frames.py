"""DHCP requests as a guest in a bed would send them, frame by frame: for what no client does."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from tests.bed.capture import capture
from tests.dhcp import v4_wire, v6_wire
from tests.dhcp.v4_wire import ones_complement

_GUEST6 = "fe80::858:aff:fef4:105"
_ALL_SERVERS = IPv6Address("ff02::1:2")


def dhcp4(vm, kind: int, *options: tuple[int, bytes], sender: str = "", **fields) -> bytes:
    """Return a broadcast DHCPv4 request; `sender` is another MAC than the NIC's."""
    own = vm.pod.layout.mac
    payload = v4_wire.bootp(
        (53, bytes([kind])), *options, **({"chaddr": v4_wire.mac(sender or own)} | fields)
    )
    udp = struct.pack("!HHHH", 68, 67, 8 + len(payload), 0) + payload
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4
    )
    total = 0xFFFF - ones_complement(head) or 0xFFFF
    head = head[:10] + struct.pack("!H", total) + head[12:]
    return b"\xff" * 6 + v4_wire.mac(sender or own) + b"\x08\x00" + head + udp


def dhcp6(vm, kind: int, *options: bytes) -> bytes:
    """Return a multicast DHCPv6 request."""
    payload = v6_wire.message(kind, v6_wire.CLIENT_ID, *options)
    source = IPv6Address(_GUEST6)
    udp = struct.pack("!HHHH", 546, 547, 8 + len(payload), 0) + payload
    pseudo = source.packed + _ALL_SERVERS.packed + struct.pack("!II", len(udp), 17)
    total = 0xFFFF - ones_complement(pseudo + udp) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", total) + udp[8:]
    head = struct.pack("!IHBB", 0x60000000, len(udp), 17, 1) + source.packed + _ALL_SERVERS.packed
    return bytes.fromhex("333300010002") + v4_wire.mac(vm.pod.layout.mac) + b"\x86\xdd" + head + udp


def address4(vm) -> bytes:
    """Return the guest's IPv4 address as it stands in an option."""
    return vm.pod.layout.ipv4[0].ip.packed


def gateway4(vm) -> IPv4Address:
    """Return its gateway, which is the server's identifier."""
    return vm.pod.layout.ipv4[0].network[1]


def send(vm, *frames: bytes) -> None:
    """Have the guest send frames."""
    with capture(vm.guest, "eth0") as nic:
        for frame in frames:
            nic.send(frame)
