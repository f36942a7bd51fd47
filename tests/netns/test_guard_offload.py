"""The guard and what a guest's virtio NIC leaves to the host: checksums and segmentation."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, IPv6
from scapy.packet import Packet, Raw

from tests.bed.evasions import (
    ALL4,
    ALL6,
    ANSWERS,
    IPV4,
    IPV6,
    REQUESTS,
    dhcp4,
    framed,
    ipv4,
    tag,
)
from tests.bed.guarded import GUEST, Bed, wired
from tests.bed.honest import ELSEWHERE4, ELSEWHERE6, GATEWAY, GUEST4, GUEST6, INNOCENT
from tests.bed.ipv6_chains import (
    AH,
    DST,
    HOP,
    JUMBO,
    SEGMENTS,
    Header,
    fragment,
    packet,
    upper_of,
)
from tests.bed.offload import ECN, TCPV4, TCPV6, UFO, USO, Written, carried, tap, virtio
from tests.bed.wait import until

AT_UDP, AT_TCP, AT_ICMPV6 = 6, 16, 2
"""Where the checksum is behind the transport header."""
LONG = 30_000


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with wired() as made:
        yield made


@pytest.fixture(scope="module")
def qemu(bed: Bed) -> Iterator[int]:
    with tap(bed.pod, "tap9", "k6t-eth0") as descriptor:
        bed.guard()

        def forwards() -> bool:
            try:
                return carried(descriptor, bed.network, {}) == set()
            except TimeoutError:
                return False

        until(forwards, "the bridge forwards")
        until(lambda: "forwarding" in bed.pod.run("bridge", "link", "show", "dev", "tap9"), "tap9")
        yield descriptor


def four(segment: Packet, *tags: tuple[int, int]) -> bytes:
    return framed(GATEWAY, IPV4, bytes(IP(src=GUEST4, dst=ELSEWHERE4) / segment), *tags)


def six(segment: Packet, *tags: tuple[int, int]) -> bytes:
    return framed(GATEWAY, IPV6, bytes(IPv6(src=GUEST6, dst=ELSEWHERE6) / segment), *tags)


def tcp(port: int, size: int = LONG) -> Packet:
    return TCP(sport=5000, dport=port, flags="A") / Raw(bytes(size))


def udp(port: int, size: int = LONG) -> Packet:
    return UDP(sport=5000, dport=port) / Raw(bytes(size))


V4, V6 = 34, 54
HONEST: dict[str, Written] = {
    "TCP in segments": virtio(four(tcp(67)), checksum=(V4, AT_TCP), gso=TCPV4),
    "TCP in segments, ECN": virtio(four(tcp(67)), checksum=(V4, AT_TCP), gso=TCPV4 | ECN),
    "TCP6 in segments": virtio(six(tcp(547)), checksum=(V6, AT_TCP), gso=TCPV6),
    "UDP in segments": virtio(four(udp(443)), checksum=(V4, AT_UDP), gso=USO),
    "UDP6 in segments": virtio(six(udp(443)), checksum=(V6, AT_UDP), gso=USO),
    "UDP in fragments": virtio(four(udp(2049)), checksum=(V4, AT_UDP), gso=UFO),
    "TCP with a partial checksum": virtio(four(tcp(67, 9)), checksum=(V4, AT_TCP)),
    "TCP6 with a partial checksum": virtio(six(tcp(547, 9)), checksum=(V6, AT_TCP)),
    "UDP with a partial checksum": virtio(four(udp(53, 9)), checksum=(V4, AT_UDP)),
    "UDP6 with a partial checksum": virtio(six(udp(53, 9)), checksum=(V6, AT_UDP)),
    "TCP in segments, VLAN 0": virtio(four(tcp(80), tag(0)), checksum=(V4 + 4, AT_TCP), gso=TCPV4),
    "TCP in segments, VLAN 5": virtio(four(tcp(80), tag(5)), checksum=(V4 + 4, AT_TCP), gso=TCPV4),
    "TCP6 in segments, VLAN 5": virtio(six(tcp(80), tag(5)), checksum=(V6 + 4, AT_TCP), gso=TCPV6),
    "UDP with a partial checksum, VLAN 5": virtio(
        four(udp(67, 9), tag(5)), checksum=(V4 + 4, AT_UDP)
    ),
    "UDP6 with a partial checksum, VLAN 5": virtio(
        six(udp(547, 9), tag(5)), checksum=(V6 + 4, AT_UDP)
    ),
    **{f"{name}, as QEMU writes it": virtio(frame) for name, frame in INNOCENT.items()},
}


def partial(frame: bytes) -> Written:
    ipv4 = frame[12:14] == b"\x08\0"
    return virtio(
        frame,
        checksum=(V4, AT_UDP) if ipv4 else (V6, AT_UDP if frame[20] == 17 else AT_ICMPV6),
    )


def segments(frame: bytes) -> Written:
    """Make one UDP message 20 of them, which the kernel would take apart."""
    ipv4 = frame[12:14] == b"\x08\0"
    start = V4 if ipv4 else V6
    message = bytearray(frame + bytes(start + 8 + 1400 * 20 - len(frame)))
    struct.pack_into("!H", message, start + 4, len(message) - start)
    length = len(message) - 14 if ipv4 else len(message) - 54
    struct.pack_into("!H", message, 16 if ipv4 else 18, length)
    return virtio(bytes(message), checksum=(start, AT_UDP), gso=USO)


EVASIVE: dict[str, Written] = {
    **{
        f"{name}, partial checksum": partial((REQUESTS | ANSWERS)[name])
        for name in ("DISCOVER", "SOLICIT", "RS", "OFFER", "ADVERTISE", "RA")
    },
    **{
        f"{name}, in segments": segments((REQUESTS | ANSWERS)[name])
        for name in ("DISCOVER", "SOLICIT", "OFFER", "ADVERTISE")
    },
    **{f"{name}, as QEMU writes it": virtio(frame) for name, frame in (REQUESTS | ANSWERS).items()},
}


def long(protocol: int, upper: bytes, *headers: Header) -> bytes:
    return framed(GATEWAY, IPV6, packet(protocol, upper + bytes(5000), *headers, dst=ELSEWHERE6))


BIG = Raw(bytes(5000))
LONG_MESSAGES = {
    **{
        name: framed(ALL6, IPV6, packet(*upper_of(message / BIG), *headers))
        for name, message, headers in (
            ("RA", ICMPv6ND_RA(), ()),
            ("RA behind options", ICMPv6ND_RA(), (DST,)),
            ("RA behind two headers", ICMPv6ND_RA(), (HOP, DST)),
            ("RA in a first fragment", ICMPv6ND_RA(), (fragment(more=True),)),
            ("RA behind options in a fragment", ICMPv6ND_RA(), (fragment(more=True), DST)),
            ("ADVERTISE", UDP(sport=547, dport=546), ()),
            ("ADVERTISE in a first fragment", UDP(dport=546), (fragment(more=True),)),
            ("SOLICIT", UDP(sport=546, dport=547), ()),
            ("SOLICIT in a first fragment", UDP(dport=547), (fragment(more=True),)),
            ("RS", ICMPv6ND_RS(), ()),
        )
    },
    "DISCOVER": framed(ALL4, IPV4, ipv4(dhcp4("discover", 68, 67) / BIG)),
    "OFFER": framed(ALL4, IPV4, ipv4(dhcp4("offer", 67, 68) / BIG)),
}
LONG_HONEST = {
    "TCP": four(tcp(67, 5000)),
    "UDP": four(udp(53, 5000)),
    "TCP6": six(tcp(547, 5000)),
    "UDP6": six(udp(53, 5000)),
    "ping6": long(58, b"\x80\0" + bytes(6)),
    "TCP6 behind a jumbo header": long(6, bytes(20), JUMBO),
    "TCP6 behind options": long(6, bytes(20), DST),
    "IPv6 behind a routing header": long(41, bytes(40), SEGMENTS),
    "authenticated TCP6": long(6, bytes(20), AH),
    "ESP6": long(50, bytes(8)),
    "IPv4 in IPv6": long(4, bytes(20)),
    "first fragment of UDP6": long(17, b"\x13\x88\x08\x01" + bytes(4), fragment(more=True)),
    "first fragment of ping6": long(58, b"\x80\0" + bytes(6), fragment(more=True)),
    "first fragment of SCTP6": long(132, bytes(12), fragment(more=True)),
    "a later fragment of UDP6": long(17, b"\2\x22\2\x23" * 2, fragment(9, more=True)),
    "no IP": framed(GATEWAY, 0x88B6, bytes(5000)),
    "RA, VLAN 5": framed(ALL6, IPV6, packet(*upper_of(ICMPv6ND_RA() / BIG)), tag(5)),
    "TCP6, VLAN 0": six(tcp(80, 5000), tag(0)),
}
# How many octets the guest calls headers; the kernel keeps the rest of a long frame elsewhere.
LINEAR = (0, 14, 20, 40, 54, 62, 70, 128)


def cut_anywhere(frames: dict[str, bytes]) -> dict[str, Written]:
    return {
        f"{name}, {linear} octets of it linear": virtio(frame, linear=linear)
        for name, frame in frames.items()
        for linear in LINEAR
    }


def test_long_frames_hide_nothing_wherever_the_guest_says_that_headers_end(bed, qemu):
    """nf_tables itself would read a next header from memory that is no part of the frame."""
    messages, honest = cut_anywhere(LONG_MESSAGES), cut_anywhere(LONG_HONEST)
    bed.guard()
    assert carried(qemu, bed.network, messages | honest) == {*messages, *honest}
    bed.guard(replace(GUEST, tap="tap9"))
    for _ in range(2):  # what is in that memory depends on the frames before
        assert carried(qemu, bed.network, honest | messages) == {*honest}


def test_long_frames_of_the_network_hide_nothing_either(bed):
    """A packet socket, too, calls nothing but the Ethernet header linear."""
    answers = {name: frame for name, frame in LONG_MESSAGES.items() if name[0] in "AO"}
    answers |= {name: LONG_MESSAGES[name] for name in LONG_MESSAGES if name.startswith("RA")}
    bed.without_guard().guard(GUEST)  # and without what the guest has received before
    for _ in range(2):
        assert bed.into(LONG_HONEST | answers) == {*LONG_HONEST}


def test_without_a_guard_everything_a_guest_leaves_to_the_host_passes(bed, qemu):
    bed.guard()
    assert carried(qemu, bed.network, HONEST | EVASIVE) == {*HONEST, *EVASIVE}


def test_honest_offloads_pass_and_messages_in_them_stop(bed, qemu):
    bed.guard(replace(GUEST, tap="tap9"))
    assert carried(qemu, bed.network, HONEST | EVASIVE) == {*HONEST}
