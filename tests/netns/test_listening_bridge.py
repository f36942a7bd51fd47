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
    PLAIN_ANSWERS,
    PLAIN_REQUESTS,
    REQUESTS,
    TO_A_RELAY,
)
from tests.bed.guarded import GUEST, KUBE_OVN, Bed, wired
from tests.bed.honest import INNOCENT, OTHER_NETWORKS
from tests.bed.packet_sockets import listening_bridge, number_of, packet_socket
from tests.bed.plumb import ROOT


@pytest.fixture(scope="module")
def pod() -> Iterator[Bed]:
    with wired() as made:
        yield made


@pytest.fixture
def bed(pod: Bed) -> Bed:
    return pod.without_guard()


# nf_tables cannot tell a gratuitous ARP request from others; the socket's own filter does.
ANNOUNCEMENTS = {name for name in {*INNOCENT} - {*OTHER_NETWORKS} if name.startswith("ARP")}


@contextmanager
def overhearing(bed: Bed, link: str, frames: dict[str, bytes]) -> Iterator[set[str]]:
    """Collect the names of the frames that the guard at the link copies meanwhile."""
    names: set[str] = set()
    with packet_socket(bed.pod, listening_bridge(bed.pod, link)) as ours:
        yield names
        ours.settimeout(0)
        with suppress(BlockingIOError):
            while frame := ours.recv(65_536):
                number = number_of(frame)
                if number is not None:
                    names.add(list(frames)[number])


def test_what_we_are_asked_is_copied_and_nothing_else_is(bed):
    bed.guard(GUEST)
    frames = PLAIN_REQUESTS | TO_A_RELAY | INNOCENT
    with overhearing(bed, "tap0", frames) as handed:
        assert bed.out(frames) == {*INNOCENT}
    assert handed == {*PLAIN_REQUESTS, *TO_A_RELAY}


def test_what_others_answer_is_copied_whether_it_passes_or_not(bed):
    neighbours = {name: INNOCENT[name] for name in ("ARP", "NA of the real gateway")}
    frames = PLAIN_ANSWERS | neighbours
    for guest, passes in ((GUEST, {*neighbours}), (KUBE_OVN, {*frames})):
        bed.guard(guest)
        with overhearing(bed, "eth0-nic", frames) as handed:
            assert bed.into(frames) == passes
        assert handed == {*frames}


def test_the_guests_own_traffic_is_not_copied(bed):
    bed.guard(GUEST)
    with overhearing(bed, "tap0", INNOCENT) as out, overhearing(bed, "eth0-nic", INNOCENT) as into:
        bed.out(INNOCENT)
        bed.into(INNOCENT)
    assert out == set()
    assert into == {*ANNOUNCEMENTS, "NA of the real gateway"}


WITHOUT_DUP = """
import sys
from binding.plumb import __main__ as plumb, nft_expressions as nft
nft.copy_to = lambda link: [nft._expression("unknown", b"")]
sys.exit(plumb.main(["guard"]))
"""


def test_a_kernel_that_cannot_copy_guards_all_the_same_and_has_no_listening_bridge(bed):
    """Packet sockets then find no listening bridge and bind to the links themselves."""
    bed.guard(GUEST)
    for link in ("tap0", "eth0-nic"):
        bed.pod.ip(f"link del {listening_bridge(bed.pod, link)}")
    subprocess.run(
        bed.pod.command(sys.executable, "-c", WITHOUT_DUP),
        input=codec.encode(guard.GuardTable("dsbridge", guard.filters((GUEST,)))),
        text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    assert not bed.pod.has(listening_bridge(bed.pod, "tap0"))
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
