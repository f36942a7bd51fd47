"""The guard in the kernel, against real frames on both sides of a wired pod."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from binding.packet import guard
from tests.bed.evasions import (
    ANSWERS,
    PLAIN_ANSWERS,
    PLAIN_REQUESTS,
    REQUESTS,
    TO_A_RELAY,
)
from tests.bed.guarded import GUEST, JUMBO, KUBE_OVN, Bed, wired
from tests.bed.honest import (
    FROM_OTHER_CLIENTS,
    FROM_SERVERS_AND_RELAYS,
    INNOCENT,
    OTHER_NETWORKS,
    TO_OTHERS,
)
from tests.bed.packet_sockets import carried
from tests.bed.plumb import NET_ADMIN_ONLY, UNPRIVILEGED


@pytest.fixture(scope="module", params=[1450, JUMBO], ids=["usual MTU", "jumbo MTU"])
def pod(request: pytest.FixtureRequest) -> Iterator[Bed]:
    """Where long frames get through, the guard has rules for them."""
    with wired(request.param) as made:
        yield made


@pytest.fixture
def bed(pod: Bed) -> Bed:
    return pod.without_guard()


def test_without_a_guard_every_frame_passes_both_ways(bed):
    """The other tests mean something only because of this one."""
    everything = bed.fitting(REQUESTS | ANSWERS | TO_A_RELAY | INNOCENT)
    assert bed.out(everything) == {*everything}
    assert bed.into(everything) == {*everything}


def test_there_are_enough_frames_to_speak_of_every_disguise():
    assert len(REQUESTS) > 200
    assert len(ANSWERS) > 200
    assert len(INNOCENT) > 200


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
    answers = bed.fitting(ANSWERS)
    assert bed.out(answers) == {*answers}


def test_all_other_traffic_passes_both_ways(bed):
    bed.guard(GUEST)
    innocent = bed.fitting(INNOCENT)
    assert bed.out(innocent) == {*innocent}
    assert bed.into(innocent) == {*innocent}


@pytest.mark.parametrize("guest", [GUEST, KUBE_OVN], ids=["we serve", "Kube-OVN serves"])
def test_other_networks_pass_both_ways_with_and_without_shield(bed, guest):
    """A VID of 1 to 4094 is another network's, whatever is in the frame."""
    for shield in (True, False):
        bed.guard(replace(guest, shield=shield))
        assert bed.out(OTHER_NETWORKS) == {*OTHER_NETWORKS}
        assert bed.into(OTHER_NETWORKS) == {*OTHER_NETWORKS}


@pytest.mark.parametrize("shield", [True, False])
def test_what_is_not_between_the_guest_and_us_passes(bed, shield):
    bed.guard(replace(GUEST, shield=shield))
    assert bed.out(FROM_OTHER_CLIENTS) == {*FROM_OTHER_CLIENTS}
    assert bed.into(TO_OTHERS) == {*TO_OTHERS}


def test_servers_relays_and_routers_pass_only_without_a_shield(bed):
    bed.guard(GUEST)
    assert bed.out(FROM_SERVERS_AND_RELAYS) == set()
    bed.guard(replace(GUEST, shield=False))
    assert bed.out(FROM_SERVERS_AND_RELAYS) == {*FROM_SERVERS_AND_RELAYS}
    assert bed.out(REQUESTS) == set()
    assert bed.into(ANSWERS) == set()


def test_our_packet_socket_at_the_tap_still_sees_the_requests(bed):
    bed.guard(GUEST)
    requests = bed.fitting(REQUESTS)
    assert carried(bed.guest, bed.tap, requests) == {*requests}


def test_the_guards_of_two_sidecars_in_a_pod_do_not_know_each_other(bed):
    bed.guard(GUEST)
    bed.install((guard.Filter("k6t-eth0", ("ra",)),), name="dsbridge-own")
    assert bed.out(REQUESTS) == set()
    bed.install((), name="dsbridge-own")


def test_our_answers_at_the_tap_reach_the_guest(bed):
    bed.guard(GUEST)
    answers = bed.fitting(ANSWERS)
    assert carried(bed.tap, bed.guest, answers) == {*answers}


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
        server.wait(60)
        server.stdout.close()


@pytest.mark.parametrize("provider", ["in-pod", "kube-ovn", "off"])
def test_takeover_mutes_the_built_in_server_in_every_mode(bed, provider):
    bed.pod.ip("addr replace 169.254.75.10/32 dev k6t-eth0")
    assert built_in_server_hears(bed)
    guest = replace(GUEST, shape="takeover", provider=provider)
    bed.install(guard.filters((guest,), spared=("k6t-other", "k6t-eth")))
    assert not built_in_server_hears(bed)
    if provider != "in-pod":
        assert bed.out(PLAIN_REQUESTS) == {*PLAIN_REQUESTS}
        bed.install(guard.filters((guest,), spared=("k6t-eth0",)))
        assert built_in_server_hears(bed)
    bed.install(())
    assert bed.rules() == ""


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
    assert len(bed.install(many)["places"]) == 30
    assert bed.rules().count("chain ") == 30


def test_net_admin_is_all_it_needs(bed):
    bed.install((guard.Filter("tap0", ("ra",)),), prefix=NET_ADMIN_ONLY)
    assert bed.out(PLAIN_ANSWERS) == {"OFFER", "ADVERTISE"}


def test_without_net_admin_the_failure_names_it(bed):
    failure = bed.install((guard.Filter("tap0", ("ra",)),), prefix=UNPRIVILEGED)
    assert failure["privilege"] == "NET_ADMIN"
