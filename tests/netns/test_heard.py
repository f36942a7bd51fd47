"""Packet sockets hear the same frames at a link itself and at its listening bridge.

At the link their own filter (BPF) decides alone, at the bridge the guard's rules (nf_tables)
before it: the two are made from one table of messages, and must agree frame by frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from binding.packet import bpf
from binding.packet.message_table import Parties
from binding.packet.port import Port
from tests.bed.evasions import ANSWERS, PLAIN_ANSWERS, PLAIN_REQUESTS, REQUESTS, TO_A_RELAY
from tests.bed.guarded import GUEST, Bed, wired
from tests.bed.honest import (
    FROM_OTHER_CLIENTS,
    FROM_SERVERS_AND_RELAYS,
    INNOCENT,
    OTHER_NETWORKS,
    TO_OTHERS,
)
from tests.bed.packet_sockets import listening_bridge, number_of, packet_socket

FRAMES = (
    *(REQUESTS | ANSWERS | TO_A_RELAY | INNOCENT).items(),
    *(FROM_OTHER_CLIENTS | FROM_SERVERS_AND_RELAYS | TO_OTHERS).items(),
)
AT_A_TIME = 30
ENDS = {"tap0": bpf.guest_rules(Parties()), "eth0-nic": bpf.NETWORK_RULES}


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with wired() as made:
        yield made


def heard(bed: Bed, link: str, place: str) -> set[str]:
    """Return the frames of the guest, or of the network, that a socket hears at a place."""
    port = bed.pod.call(lambda: Port.open(link, bpf.program(ENDS[link]), place))
    carry: Callable[[dict[str, bytes]], set[str]] = bed.out if link == "tap0" else bed.into
    names: set[str] = set()
    with port.socket:
        for start in range(0, len(FRAMES), AT_A_TIME):
            some = dict(FRAMES[start : start + AT_A_TIME])
            carry(some)  # returns when the last of them is through
            for received in port.receive():
                number = number_of(received.frame)
                if number is not None:
                    names.add(list(some)[number])
    return names


@pytest.mark.parametrize("link", ENDS)
def test_sockets_hear_the_same_frames_with_and_without_a_guard(bed, link):
    bed.without_guard()
    at_the_link = heard(bed, link, link)
    bed.guard(GUEST)
    at_the_bridge = heard(bed, link, listening_bridge(bed.pod, link))
    assert at_the_bridge == at_the_link
    assert {*(PLAIN_REQUESTS if link == "tap0" else PLAIN_ANSWERS)} <= at_the_link
    assert not at_the_link & {*OTHER_NETWORKS}


def test_a_frame_with_a_priority_tag_is_heard_as_an_untagged_one(bed):
    bed.guard(GUEST)
    names = {f"{name}{tag}" for name in PLAIN_REQUESTS for tag in ("", ", VLAN 0")}
    names |= {f"{name}, {tag}" for name in PLAIN_REQUESTS for tag in ("802.1ad VLAN 0",)}
    assert names <= heard(bed, "tap0", listening_bridge(bed.pod, "tap0"))


def test_a_tag_that_the_driver_left_in_the_frame_is_taken_out(bed):
    """What is sent out by a bridge is heard there as it was sent."""
    bed.guard(GUEST)
    bridge = listening_bridge(bed.pod, "tap0")
    port = bed.pod.call(lambda: Port.open("tap0", bpf.EVERYTHING, bridge))
    plain = REQUESTS["DISCOVER"]
    with port.socket, packet_socket(bed.pod, bridge) as driver:
        for name in ("VLAN 0", "802.1ad VLAN 0", "VLAN 0 twice", "VLAN 5 in VLAN 0", "VLAN 4095"):
            driver.send(REQUESTS[f"DISCOVER, {name}"])
        driver.send(OTHER_NETWORKS["DISCOVER, VLAN 5"])
        driver.send(plain)
        assert [received.frame for received in port.receive()] == [plain] * 3


def test_what_stops_unheard_at_the_tap_is_a_disguise_or_of_a_server(bed):
    """No honest request may be dropped that serve does not hear."""
    bed.guard(GUEST)
    passed = {name for start in range(0, len(FRAMES), 200)
              for name in bed.out(dict(FRAMES[start : start + 200]))}  # fmt: skip
    unheard = {name for name, _ in FRAMES} - passed
    unheard -= heard(bed, "tap0", listening_bridge(bed.pod, "tap0"))
    servers = {*ANSWERS, *TO_A_RELAY, *FROM_SERVERS_AND_RELAYS, *TO_OTHERS}
    disguises = {name for name in REQUESTS if ", " in name}
    assert unheard <= servers | disguises
