"""What the guard hands to our packet sockets, and what passes them by."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from scapy.layers.l2 import ARP, Ether

from binding.ipc import codec
from binding.packet import guard
from tests.bed.evasions import (
    ANSWERS,
    INNOCENT,
    PLAIN_ANSWERS,
    PLAIN_REQUESTS,
    REQUESTS,
    TO_A_RELAY,
)
from tests.bed.guarded import GUEST, KUBE_OVN, Bed, wired
from tests.bed.packet_sockets import ear, packet_socket
from tests.bed.plumb import ROOT

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def pod() -> Iterator[Bed]:
    with wired() as made:
        yield made


@pytest.fixture
def bed(pod: Bed) -> Bed:
    return pod.without_guard()


@contextmanager
def overhearing(bed: Bed, link: str, frames: dict[str, bytes]) -> Iterator[set[str]]:
    """Collect the names of those frames that are handed to our ear at the link meanwhile."""
    names: set[str] = set()
    with packet_socket(bed.pod, ear(bed.pod, link)) as ours:
        yield names
        ours.settimeout(0)
        with suppress(BlockingIOError):
            while frame := ours.recv(65_536):
                names.add(list(frames)[frame[11]])


def test_what_we_are_asked_is_handed_to_our_ear_and_nothing_else_is(bed):
    bed.guard(GUEST)
    frames = PLAIN_REQUESTS | TO_A_RELAY | INNOCENT
    with overhearing(bed, "tap0", frames) as handed:
        assert bed.out(frames) == {*INNOCENT}
    assert handed == {*PLAIN_REQUESTS, *TO_A_RELAY}


def test_what_others_answer_is_handed_to_our_ear_whether_it_passes_or_not(bed):
    neighbours = {name: INNOCENT[name] for name in ("ARP", "NA of the real gateway")}
    frames = PLAIN_ANSWERS | neighbours
    for guest, passes in ((GUEST, {*neighbours}), (KUBE_OVN, {*frames})):
        bed.guard(guest)
        with overhearing(bed, "eth0-nic", frames) as handed:
            assert bed.into(frames) == passes
        assert handed == {*frames}


def test_the_guests_own_traffic_passes_no_ear(bed):
    bed.guard(GUEST)
    with overhearing(bed, "tap0", INNOCENT) as out, overhearing(bed, "eth0-nic", INNOCENT) as into:
        bed.out(INNOCENT)
        bed.into(INNOCENT)
    assert out == set()
    assert into == {"ARP", "NA of the real gateway"}


WITHOUT_FWD = """
import sys
from binding import nft_rules, plumb
nft_rules._HAND_OVER = nft_rules._expression("unknown", b"")
sys.exit(plumb.main(["guard"]))
"""


def test_a_kernel_that_cannot_hand_over_guards_all_the_same_and_has_no_ear(bed):
    """Then our sockets find no ear and listen at the links themselves."""
    bed.guard()
    for link in ("tap0", "eth0-nic"):
        bed.pod.ip(f"link del {ear(bed.pod, link)}")
    subprocess.run(
        bed.pod.command(sys.executable, "-c", WITHOUT_FWD),
        input=codec.encode(guard.Table("dsbridge", guard.filters((GUEST,)))),
        text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    assert not bed.pod.has(ear(bed.pod, "tap0"))
    assert bed.out(REQUESTS) == set()
    assert bed.into(ANSWERS) == set()


def test_arp_for_the_server_where_no_gateway_has_its_address_is_ours_alone(bed):
    ether = Ether(dst="ff:ff:ff:ff:ff:ff")
    ours = {"request": bytes(ether / ARP(op=1, pdst="192.0.0.8"))}
    others = {
        "for another": bytes(ether / ARP(op=1, pdst="192.0.0.9")),
        "reply": bytes(ether / ARP(op=2, pdst="192.0.0.8")),
    }
    for guest, passes in ((GUEST, others), (KUBE_OVN, ours | others)):
        bed.guard(guest)
        with overhearing(bed, "tap0", ours | others) as handed:
            assert bed.out(ours | others) == {*passes}
        assert handed == {*ours}
