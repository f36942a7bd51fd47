"""The guard in the kernel, against real frames on both sides of a wired pod."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface

import pytest
from scapy.layers.l2 import ARP, Ether

from binding import codec, guard, names
from binding.guest import GuestNetwork
from binding.wiring import Wiring
from tests.bed.cable import cable
from tests.bed.netns import Netns
from tests.bed.wait import until
from tests.netns.evasions import (
    ANSWERS,
    INNOCENT,
    PLAIN_ANSWERS,
    PLAIN_REQUESTS,
    REQUESTS,
    TO_A_RELAY,
)
from tests.netns.pods import FLAT, MAC, NET_ADMIN_ONLY, ROOT, UNPRIVILEGED, plumb, veth
from tests.netns.wires import carried, ear, packet_socket

pytestmark = pytest.mark.netns

GUEST = GuestNetwork(
    network="default", tap="tap0", nic="eth0-nic", bridge="k6t-eth0", mac=MAC, mtu=1450,
    ipv4=(IPv4Interface("10.0.0.42/24"),), ipv6=(IPv6Interface("fd00::42/64"),),
)  # fmt: skip
KUBE_OVN = replace(GUEST, provider="kube-ovn")


@dataclass(frozen=True)
class Bed:
    pod: Netns
    guest: socket.socket
    tap: socket.socket
    network: socket.socket

    def guard(self, *guests: GuestNetwork) -> dict[str, object]:
        return self.install(guard.filters(guests))

    def install(
        self, filters: tuple[guard.Filter, ...], name="dsbridge", prefix=()
    ) -> dict[str, object]:
        table = codec.encode(guard.Table(name, filters))
        done = plumb(self.pod, "guard", stdin=table, prefix=prefix)
        answer = json.loads(done.stdout)
        assert (done.returncode == 0) is ("links" in answer), done
        return answer

    def out(self, frames: dict[str, bytes]) -> set[str]:
        """Send from the guest; return what reaches the pod network."""
        return carried(self.guest, self.network, frames)

    def into(self, frames: dict[str, bytes]) -> set[str]:
        """Send from the pod network; return what reaches the guest."""
        return carried(self.network, self.guest, frames)

    def forwards(self) -> bool:
        """Say whether the ports are forwarding yet, both ways."""
        try:
            return not self.out({}) and not self.into({})
        except TimeoutError:
            return False

    def rules(self) -> str:
        return self.pod.run("nft", "list", "ruleset")


@pytest.fixture(scope="module")
def wired() -> Iterator[Bed]:
    with ExitStack() as stack:
        inside, outside = stack.enter_context(veth())
        inside.ip(FLAT)
        # Hosts with br_netfilter would reassemble, and hold back, the fragments sent here.
        inside.run("sh", "-c", "echo 0 | tee /proc/sys/net/bridge/*", check=False)
        wiring = Wiring(names.links("eth0", primary=True), MAC, 1450)
        assert plumb(inside, "wire", stdin=codec.encode((wiring,))).returncode == 0
        guest = stack.enter_context(cable(inside, mac=MAC, mtu=1450))
        guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)
        guest.ip("link set eth0 up")
        sockets = (
            stack.enter_context(packet_socket(space, link))
            for space, link in ((guest, "eth0"), (inside, "tap0"), (outside, "peer0"))
        )
        bed = Bed(inside, *sockets)
        until(bed.forwards, "the bridge forwards")
        yield bed


@pytest.fixture
def bed(wired: Bed) -> Bed:
    wired.guard()
    for one in (wired.guest, wired.tap, wired.network):
        one.setblocking(False)  # noqa: FBT003  # its only argument
        try:
            while one.recv(65_536):
                pass
        except BlockingIOError:
            one.settimeout(3)
    return wired


def test_without_a_guard_every_frame_passes_both_ways(bed):
    """The other tests mean something only because of this one."""
    assert bed.out(REQUESTS | TO_A_RELAY) == {*REQUESTS, *TO_A_RELAY}
    assert bed.into(ANSWERS) == {*ANSWERS}
    assert bed.out(ANSWERS | INNOCENT) == {*ANSWERS, *INNOCENT}


def test_no_request_leaves_the_pod_in_any_disguise_when_we_serve(bed):
    bed.guard(GUEST)
    assert bed.out(REQUESTS) == set()


def test_no_answer_of_the_network_reaches_the_guest_in_any_disguise_when_we_serve(bed):
    bed.guard(GUEST)
    assert bed.into(ANSWERS) == set()


@pytest.mark.parametrize(
    "guest", [GUEST, KUBE_OVN], ids=["we serve", "Kube-OVN serves"]
)  # fmt: skip
def test_the_guests_own_server_is_shielded_in_any_disguise(bed, guest):
    bed.guard(guest)
    assert bed.out(ANSWERS | TO_A_RELAY) == set()


def test_the_shield_can_be_turned_off(bed):
    bed.guard(replace(KUBE_OVN, shield=False))
    assert bed.out(ANSWERS) == {*ANSWERS}


def test_all_other_traffic_passes_both_ways(bed):
    bed.guard(GUEST)
    assert bed.out(INNOCENT) == {*INNOCENT}
    assert bed.into(INNOCENT) == {*INNOCENT}


def test_our_packet_socket_at_the_tap_still_sees_the_requests(bed):
    bed.guard(GUEST)
    assert carried(bed.guest, bed.tap, REQUESTS) == {*REQUESTS}


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


def test_the_guards_of_two_sidecars_in_a_pod_do_not_know_each_other(bed):
    bed.guard(GUEST)
    bed.install((guard.Filter("k6t-eth0", ("ra",)),), name="dsbridge-own")
    assert bed.out(REQUESTS) == set()
    bed.install((), name="dsbridge-own")


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


def test_our_answers_at_the_tap_reach_the_guest(bed):
    bed.guard(GUEST)
    assert carried(bed.tap, bed.guest, ANSWERS) == {*ANSWERS}


def test_kube_ovns_path_is_transparent(bed):
    bed.guard(KUBE_OVN)
    assert bed.out(PLAIN_REQUESTS) == {*PLAIN_REQUESTS}
    assert bed.into(PLAIN_ANSWERS) == {*PLAIN_ANSWERS}


@pytest.mark.parametrize(
    "guest",
    [replace(GUEST, provider="off"), replace(GUEST, ipv4=(), ipv6=())],
    ids=["provider: off", "without IPAM"],
)
def test_where_nobody_of_ours_serves_the_guest_may_be_router_and_server(bed, guest):
    bed.guard(guest)
    assert bed.out(PLAIN_ANSWERS | PLAIN_REQUESTS) == {*PLAIN_ANSWERS, *PLAIN_REQUESTS}
    assert bed.into(PLAIN_ANSWERS | PLAIN_REQUESTS) == {*PLAIN_ANSWERS, *PLAIN_REQUESTS}


LISTEN = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 67))
server.settimeout(0.7)
print("ready", flush=True)
try:
    print(len(server.recv(2000)) > 200)
except TimeoutError:
    print(False)
"""


def built_in_server_hears(bed: Bed) -> bool:
    """Listen on UDP 67 as KubeVirt's DHCP server does while the guest sends a DISCOVER."""
    server = bed.pod.popen(sys.executable, "-c", LISTEN, stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"ready\n"
        bed.out(PLAIN_REQUESTS)
        return server.stdout.readline() == b"True\n"
    finally:
        server.wait(5)
        server.stdout.close()


@pytest.mark.parametrize("provider", ["in-pod", "kube-ovn", "off"])
def test_takeover_mutes_the_built_in_server_in_every_mode(bed, provider):
    bed.pod.ip("addr replace 169.254.75.10/32 dev k6t-eth0")
    assert built_in_server_hears(bed)
    bed.guard(replace(GUEST, shape="takeover", provider=provider))
    assert not built_in_server_hears(bed)
    if provider != "in-pod":
        assert bed.out(PLAIN_REQUESTS) == {*PLAIN_REQUESTS}


def test_the_same_guard_again_changes_nothing_and_there_is_one_table(bed):
    bed.guard(GUEST)
    before = bed.rules()
    bed.guard(GUEST)
    assert bed.rules() == before
    assert before.count("table ") == 1


def test_a_guard_replaces_the_one_before_and_none_leaves_nothing_behind(bed):
    bed.guard(GUEST)
    bed.guard(KUBE_OVN)
    assert bed.into(PLAIN_ANSWERS) == {*PLAIN_ANSWERS}
    bed.guard()
    assert bed.rules() == ""


def test_the_tables_of_others_are_left_alone(bed):
    bed.pod.run("nft", "add table netdev somebody")
    bed.guard(GUEST)
    bed.guard()
    assert bed.rules().split() == ["table", "netdev", "somebody", "{", "}"]
    bed.pod.run("nft", "delete table netdev somebody")


def test_a_guard_that_is_refused_leaves_the_one_before_in_force(bed):
    bed.guard(GUEST)
    before = bed.rules()
    failure = bed.install((guard.Filter("tap0", ("ra",)), guard.Filter("nolink", ("ra",))))
    assert failure == {
        "step": "filter at link nolink", "error": "No such device", "privilege": "",
    }  # fmt: skip
    assert bed.rules() == before


def test_a_pod_with_many_nics_is_guarded_in_one_transaction(bed):
    for number in range(30):
        bed.pod.ip(f"link add many{number} type bridge")
    many = tuple(guard.Filter(f"many{number}", ("ra", "rs")) for number in range(30))
    assert len(bed.install(many)["links"]) == 30
    assert bed.rules().count("chain ") == 30


def test_net_admin_is_all_it_needs(bed):
    bed.install((guard.Filter("tap0", ("ra",)),), prefix=NET_ADMIN_ONLY)
    assert bed.out(PLAIN_ANSWERS) == {"OFFER", "ADVERTISE"}


def test_without_net_admin_the_failure_names_it(bed):
    failure = bed.install((guard.Filter("tap0", ("ra",)),), prefix=UNPRIVILEGED)
    assert failure["privilege"] == "NET_ADMIN"
