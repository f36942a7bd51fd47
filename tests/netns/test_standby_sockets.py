"""While there is no `serve`: real links, real time, a handover made by hand."""

import time
from contextlib import ExitStack

import pytest

from binding.ipc.handover import Handover, Planned, Repeat
from binding.packet.port import Port
from binding.process.loop import Loop
from binding.sidecar.standby import Standby
from tests.bed.netns import netns
from tests.bed.packet_sockets import packet_socket

HEADER = bytes.fromhex("020000000001 020000000002 88b5")


class End:
    """The far end of a link. What is said there is a name behind a header of its own."""

    def __init__(self, sock):
        self._socket = sock

    def send(self, name):
        self._socket.send(HEADER + name)

    def heard(self):
        names = []
        while True:
            try:
                names.append(self._socket.recv(2000).removeprefix(HEADER))
            except BlockingIOError:
                return names


class Links:
    """tap and NIC, and at their far ends guest and network."""

    def __init__(self, stack):
        space = stack.enter_context(netns("links"))
        space.sysctl(ipv6__conf__default__disable_ipv6=1)
        self.ports, ends = {}, {}
        for name in ("tap0", "eth0-nic"):
            far = f"far-{name}"
            space.ip(f"""
                link add {name} type veth peer name {far}
                link set {name} up
                link set {far} up""")
            near, end = (
                Port(link, stack.enter_context(packet_socket(space, link))) for link in (name, far)
            )
            for port in (near, end):
                port.hear_outgoing(wanted=False)
                port.socket.settimeout(0)
            self.ports[name], ends[name] = near, End(end.socket)
        self.guest, self.network = ends["tap0"], ends["eth0-nic"]


@pytest.fixture
def links():
    with ExitStack() as stack:
        yield Links(stack)


def handover(**known):
    return Handover("default", "tap0", "eth0-nic", "before", **known)


def standing_by(links, one, act, seconds=0.3):
    """Stand by for a while; return how often it woke, the handover at the end, what came."""
    woken, loop = [], Loop()
    standby = Standby(loop, (one,), links.ports, lambda: woken.append(1))
    act()
    loop.after(seconds, loop.stop)
    loop.run()
    (left,), came = standby.end()
    return (
        len(woken),
        left,
        [(one.link, one.frame.removeprefix(HEADER), one.answered) for one in came],
    )


def known(request, reply, nic=()):
    """What is remembered of a solicitation; no reply is silence."""
    tap = (HEADER + reply,) if reply else ()
    extra = tuple(HEADER + frame for frame in nic)
    wakes = reply not in (b"NA", b"")
    return Repeat(HEADER + request, partial_checksum=False, tap=tap, nic=extra, wakes=wakes)


def later(seconds):
    """A moment on the loop's clock."""
    return time.monotonic() + seconds


def test_a_planned_frame_goes_out_at_its_time_and_the_handover_moves_on(links):
    plan = (
        Planned(later(0.1), (HEADER + b"RA",), (HEADER + b"NS",), "after the first"),
        Planned(later(60), (HEADER + b"later",), (), "after the second"),
    )
    woken, after, _ = standing_by(links, handover(planned=plan), lambda: None)
    assert (links.guest.heard(), links.network.heard()) == ([b"RA"], [b"NS"])
    assert not woken
    assert (after.ra_state, after.planned) == ("after the first", plan[1:])


def test_the_end_of_the_plan_wakes_whoever_makes_the_next(links):
    plan = (Planned(later(0.1), (HEADER + b"RA",), (), "after"),)
    assert standing_by(links, handover(planned=plan), lambda: None)[0] == 1


def test_the_guest_that_verifies_its_router_is_answered_and_wakes_nobody(links):
    repeats = (known(b"NS", b"NA", (b"NS of the gateway",)),)
    woken, _, came = standing_by(links, handover(repeats=repeats), lambda: links.guest.send(b"NS"))
    assert (links.guest.heard(), links.network.heard()) == ([b"NA"], [b"NS of the gateway"])
    assert (woken, came) == (0, [])


def test_the_guest_that_begins_anew_is_answered_and_the_successor_is_told(links):
    repeats = (known(b"RS", b"RA"),)
    woken, _, came = standing_by(links, handover(repeats=repeats), lambda: links.guest.send(b"RS"))
    assert links.guest.heard() == [b"RA"]
    assert (woken, came) == (1, [("tap0", b"RS", True)])


def test_any_other_frame_waits_for_the_successor_while_what_is_known_is_answered(links):
    def act():
        for frame in (b"DISCOVER", b"RS", b"SOLICIT"):
            links.guest.send(frame)

    woken, _, came = standing_by(links, handover(repeats=(known(b"RS", b"RA"),)), act)
    assert links.guest.heard() == [b"RA"]
    assert woken == 1
    assert came == [
        ("tap0", b"DISCOVER", False),
        ("tap0", b"RS", True),
        ("tap0", b"SOLICIT", False),
    ]


def test_what_comes_in_on_the_nic_is_no_request_of_the_guest(links):
    repeats = (known(b"RS", b"RA"),)
    woken, _, came = standing_by(
        links, handover(repeats=repeats), lambda: links.network.send(b"RS")
    )
    assert not links.guest.heard()
    assert (woken, came) == (1, [("eth0-nic", b"RS", False)])


def test_a_flood_of_repeats_is_for_serve_to_judge(links):
    def act():
        for _ in range(50):
            links.guest.send(b"NS")

    woken, _, came = standing_by(links, handover(repeats=(known(b"NS", b"NA"),)), act)
    assert len(links.guest.heard()) <= 5
    assert woken == 1
    assert len(came) >= 45


def test_a_flood_fills_no_memory_and_its_end_waits_in_the_socket(links):
    def act():
        for number in range(100):
            links.guest.send(b"%d" % number)

    _, _, came = standing_by(links, handover(), act)
    assert len(came) == 64
    assert links.ports["tap0"].socket.recv(2000) == HEADER + b"64"


def test_silence_is_repeated_too_and_wakes_nobody(links):
    repeats = (known(b"DISCOVER", b""),)
    woken, _, came = standing_by(
        links, handover(repeats=repeats), lambda: links.guest.send(b"DISCOVER")
    )
    assert not links.guest.heard()
    assert (woken, came) == (0, [])
