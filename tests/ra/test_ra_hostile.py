"""No bytes of guest or network raise, stall or grow anything."""

from __future__ import annotations

import pickle
from ipaddress import IPv6Address, IPv6Interface, IPv6Network

from hypothesis import given
from hypothesis import strategies as st

from guest.ethernet import ICMPV6
from guest.frame import Packet
from ra import arp, guest_input
from ra.advert import advertisement
from ra.gateway import Router
from ra.message import options
from ra.neighbor import parse_na
from tests.ra.nd_wire import MAC, OLD_MAC, Clocked, guest, na, ra, route, vector, vectors

MACS = st.sampled_from([MAC, OLD_MAC, "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])
ADDRESSES = st.ip_addresses(v=6) | st.sampled_from(
    [IPv6Address("::"), IPv6Address("ff02::1"), IPv6Address("fe80::d5b:1d9e")]
)
MESSAGES = st.builds(
    lambda kind, rest: bytes([kind, 0]) + rest,
    st.sampled_from([133, 134, 135, 136, 137]),
    st.binary(min_size=2, max_size=80),
)
PACKETS = st.builds(
    Packet, MACS, MACS, ADDRESSES, ADDRESSES, st.sampled_from([255, 64]), st.just(ICMPV6),
    st.just(0), st.just(0), MESSAGES,
)  # fmt: skip


@given(st.lists(PACKETS, max_size=8))
def test_no_message_of_the_guest_raises_or_is_answered_without_end(packets: list[Packet]):
    one = Clocked(guest())
    for packet in packets:
        state, actions = guest_input.from_guest(one.state, one.guest, packet, one.now)
        assert len(actions) <= 6
        one.state = state
    one.run(5)


@given(st.sampled_from(vectors("")).map(vector), st.data())
def test_no_frame_of_the_network_raises(frame: bytes, data: st.DataObject):
    at = data.draw(st.integers(0, len(frame) - 1))
    patch = data.draw(st.binary(max_size=8))
    one = Clocked(guest())
    one.stirs()
    one.hears(frame[:at] + patch + frame[at + len(patch) :])
    one.run(1)


@given(st.binary(max_size=120))
def test_no_bytes_raise(octets: bytes):
    Clocked(guest()).hears(octets)
    arp.parse(octets)
    options(octets)


@given(PACKETS)
def test_an_na_that_is_believed_names_a_station(packet: Packet):
    said = parse_na(packet)
    if said is not None:
        assert not said.target.is_multicast
        assert int(said.lladdr[:2], 16) & 1 == 0


@given(
    st.lists(st.tuples(st.ip_addresses(v=6), st.integers(0, 128)), max_size=4),
    st.lists(st.tuples(st.ip_addresses(v=6), st.integers(0, 128)), max_size=4),
    st.integers(68, 9000),
    st.text(max_size=300),
    st.none() | st.integers(0, 2**40),
    st.sampled_from(["dhcp", "slaac", "both"]),
)
def test_every_configuration_makes_a_well_formed_ra(  # noqa: PLR0913, PLR0917  # one setting each
    addresses, destinations, mtu, portal, lease, mode
):
    gateway = "fd00::1"
    routes = [route("::/0", gateway)] + [
        route(str(IPv6Network((address, length), strict=False)), gateway)
        for address, length in destinations
    ]
    configured = guest(
        ipv6=tuple(IPv6Interface(pair) for pair in addresses),
        routes=tuple(routes),
        mtu=mtu,
        captive_portal=portal,
        lease=lease,
        ipv6_mode=mode,
    )
    router = Router(IPv6Address("fe80::1"), OLD_MAC, "pod")
    frame = advertisement(configured, router, (IPv6Address("ff02::1"), MAC))
    assert ra(frame).lifetime == 65535
    assert len(frame) - 14 <= max(mtu, 1280)


def test_storms_leave_a_state_of_the_same_size():
    one = Clocked(guest())
    one.says(vector("rs-kernel"))
    size = len(pickle.dumps(one.state))
    for number in range(800):
        one.says(vector("rs-kernel"))
        one.says(vector("ns-kernel-multicast"))
        one.hears(na("fd00:10:244:1::1", f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}", 0xA0))
        one.run(0.1)
    assert len(pickle.dumps(one.state)) < 4 * size
