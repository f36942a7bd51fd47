"""A guest that arrives by migration: heard by its first frame, whatever that is."""

import socket
from dataclasses import replace

import pytest

from binding.ipc.codec import build
from binding.packet.port import Port, Received
from binding.serve.guest_ports import GuestPorts
from binding.serve.responder import Responder
from guest.ethernet import mac_bytes
from ra.state import State
from tests.bed.netns import netns
from tests.bed.packet_sockets import packet_socket
from tests.samples import GUEST

ARRIVING = replace(GUEST, provider="in-pod", migration_target=True, gateway_lladdrs=())
REST = bytes.fromhex("0806") + bytes(46)


@pytest.fixture
def served():
    with netns("arrival") as space:
        space.ip("link add tap0 type veth peer name nic\nlink set tap0 up\nlink set nic up")
        with packet_socket(space, "tap0") as tap, packet_socket(space, "nic") as nic:
            tap.settimeout(0)
            ports = Port("tap0", tap), Port("nic", nic)
            yield GuestPorts(Responder(ARRIVING, 0.0), *ports, is_arriving=True)


def first_frame(served, mac):
    frame = b"\xff" * 6 + mac_bytes(mac) + REST
    served.receive(served.tap, Received(frame, partial_checksum=False), 1.0)


def test_a_frame_of_somebody_behind_the_guest_is_not_its_arrival(served):
    first_frame(served, "02:00:00:00:00:99")
    assert served.is_arriving
    assert not served.responder.is_here


def test_the_guests_own_first_frame_is(served):
    first_frame(served, "02:00:00:00:00:99")
    first_frame(served, ARRIVING.mac)
    assert not served.is_arriving
    assert served.responder.is_here


def test_a_frame_longer_than_any_link_of_ours_is_cut():
    """It would cross to the parent as JSON, and a hostile guest would choose its size."""
    far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with far, near:
        far.send(bytes(60_000))
        (received,) = Port("tap0", near).receive()
    assert len(received.frame) == 9_216


def test_as_long_as_nobody_knows_who_serves_there_is_nothing_to_hand_on():
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    far, near = socket.socketpair(socket.AF_UNIX, kind)
    with far, near:
        undecided = Responder(replace(GUEST, provider="auto", nic="eth0-nic"), 0.0)
        decided = Responder(replace(GUEST, provider="in-pod"), 0.0)
        nothing, report = (
            GuestPorts(one, Port("tap0", near), None, is_arriving=False).report()
            for one in (undecided, decided)
        )
        assert nothing.ra_state is None
        assert build(State, report.ra_state) == decided.service.ra_state
