"""Whether the guard is still as it was set, who changed it, and setting it once more."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from binding.ipc import codec
from binding.packet import guard, links, table_changes
from binding.packet.guard import GuardTable, Observed
from binding.plumb import guard_table, nfnetlink
from tests.bed.evasions import PLAIN_ANSWERS, REQUESTS
from tests.bed.guarded import GUEST, KUBE_OVN
from tests.bed.netns import Netns, netns
from tests.bed.packet_sockets import packet_socket
from tests.bed.plumb import NET_ADMIN_ONLY, ROOT, UNPRIVILEGED, plumb
from tests.bed.wait import until

TABLE = GuardTable("dsbridge", guard.filters((GUEST,), spared=()))
LINKS = ("eth0-nic", "tap0")


@pytest.fixture
def pod() -> Iterator[Netns]:
    with netns("pod") as space:
        # The kernel solicits routers, too.
        space.sysctl(ipv6__conf__default__disable_ipv6=1, ipv6__conf__all__disable_ipv6=1)
        for link in LINKS:
            plug(space, link)
        yield space


def plug(space: Netns, link: str) -> None:
    space.ip(f"""
        link add name {link} type veth peer name far-{link}
        link set {link} up
        link set far-{link} up""")


def install(space: Netns, table: GuardTable = TABLE) -> None:
    done = plumb(space, "guard", stdin=codec.encode(table))
    assert len(json.loads(done.stdout)["places"]) == len(table.filters)


def observed(space: Netns, table: GuardTable = TABLE) -> Observed:
    return space.call(lambda: guard_table.observed(table))


def bridges(space: Netns) -> dict[str, bool | None]:
    """Return whether the listening bridge of each link is up, None where the link has none."""
    return space.call(lambda: {one: links.is_up(links.listening_bridge(one)) for one in LINKS})


def send(space: Netns, link: str, *frames: bytes) -> None:
    with packet_socket(space, f"far-{link}") as far:
        for frame in frames:
            far.send(frame)


def dropped(space: Netns, table: GuardTable = TABLE) -> dict[tuple[str, str], int]:
    return {
        (each.link, each.message): each.packets
        for each in observed(space, table).dropped
        if each.packets
    }


def test_a_guard_as_it_was_set_is_in_force(pod):
    install(pod)
    assert observed(pod).wrong == ()
    assert bridges(pod) == dict.fromkeys(LINKS, True)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("flush ruleset", "there is no table netdev dsbridge"),
        ("flush ruleset", "there is no table ip dsbridge"),
        ("delete table netdev dsbridge", "there is no table netdev dsbridge"),
        ("delete table ip dsbridge", "there is no table ip dsbridge"),
        ("flush table ip dsbridge", "link k6t-* has not the rule for dhcp4-to-server"),
        ("add chain ip dsbridge more", "chain more is not ours"),
        ("add table ip dsbridge { flags dormant; }", "table ip dsbridge is dormant"),
        ("flush table netdev dsbridge", "not the rule for TCP"),
        ("flush chain netdev dsbridge tap0", "link tap0 has not the rule for TCP"),
        (
            "flush chain netdev dsbridge tap0; delete chain netdev dsbridge tap0",
            "link tap0 is gone",
        ),
        ("insert rule netdev dsbridge tap0 accept", "link tap0 has not the rule for TCP"),
        ("add rule netdev dsbridge eth0-nic accept", "link eth0-nic has a rule too many"),
        ("add chain netdev dsbridge more", "chain more is not ours"),
        ("add table netdev dsbridge { flags dormant; }", "table netdev dsbridge is dormant"),
    ],
)  # fmt: skip
def test_each_change_of_our_table_is_seen_and_setting_it_again_mends_it(pod, change, word):
    install(pod)
    pod.run("nft", change)
    assert any(word in wrong for wrong in observed(pod).wrong), observed(pod).wrong
    install(pod)
    assert observed(pod).wrong == ()


def test_a_rule_with_another_value_is_not_ours(pod):
    install(pod)
    handle = next(
        line.split()[-1]
        for line in pod.run("nft", "-a", "list", "table", "netdev", "dsbridge").splitlines()
        if 'comment "rs"' in line
    )
    rule = "meta protocol ip6 icmpv6 type 134 counter drop comment"
    pod.run("nft", f'replace rule netdev dsbridge tap0 handle {handle} {rule} "rs"')
    assert observed(pod).wrong == ("link tap0 has not the rule for rs",)


def test_another_guard_is_not_this_one(pod):
    install(pod, GuardTable("dsbridge", guard.filters((KUBE_OVN,))))
    assert observed(pod).wrong != ()
    assert observed(pod, GuardTable("dsbridge")).wrong != ()
    assert observed(pod, GuardTable("dsbridge-other")) == Observed()


def test_what_was_dropped_is_counted_by_link_and_message_also_over_a_new_table(pod):
    install(pod)
    answers = PLAIN_ANSWERS.values()
    send(pod, "eth0-nic", *answers, *answers)
    send(pod, "tap0", REQUESTS["DISCOVER"], REQUESTS["RS, SNAP"], *answers)
    expected = {
        ("eth0-nic", "ra"): 2,
        ("eth0-nic", "dhcp4-to-client"): 2,
        ("eth0-nic", "dhcp6-to-client"): 2,
        ("tap0", "dhcp4-to-server"): 1,
        ("tap0", "IPv6 in SNAP"): 1,
        ("tap0", "ra"): 1,
    }
    until(lambda: expected.items() <= dropped(pod).items(), "the frames are counted")
    shielded = {"dhcp4-from-server", "dhcp4-to-client"}, {"dhcp6-from-server", "dhcp6-to-client"}
    for either in shielded:  # whichever rule comes first
        assert sum(dropped(pod).get(("tap0", one), 0) for one in either) == 1
    before = dropped(pod)
    install(pod)
    assert dropped(pod) == before
    send(pod, "tap0", REQUESTS["DISCOVER"])
    until(lambda: dropped(pod)["tap0", "dhcp4-to-server"] == 2, "counting goes on")


def test_a_listening_bridge_that_was_deleted_is_made_again(pod):
    install(pod)
    number = pod.query("link", "show", "dev", "tap0")[0]["ifindex"]
    pod.ip(f"link del dsb-listen{number}")
    assert bridges(pod) == {"eth0-nic": True, "tap0": None}
    assert observed(pod).wrong != ()
    install(pod)
    assert bridges(pod) == dict.fromkeys(LINKS, True)
    assert observed(pod).wrong == ()


def test_a_listening_bridge_that_is_down_is_brought_up(pod):
    install(pod)
    number = pod.query("link", "show", "dev", "eth0-nic")[0]["ifindex"]
    pod.ip(f"link set dsb-listen{number} down")
    assert bridges(pod) == {"eth0-nic": False, "tap0": True}
    install(pod)
    assert bridges(pod) == dict.fromkeys(LINKS, True)


def test_a_tap_that_was_made_anew_is_guarded_again_and_leaves_no_bridge_behind(pod):
    install(pod)
    former = pod.query("link", "show", "dev", "tap0")[0]["ifindex"]
    pod.ip("link del tap0")
    assert bridges(pod)["tap0"] is None
    plug(pod, "tap0")
    assert observed(pod).wrong != ()
    install(pod)
    assert observed(pod).wrong == ()
    assert bridges(pod) == dict.fromkeys(LINKS, True)
    assert not pod.has(f"dsb-listen{former}")
    send(pod, "tap0", REQUESTS["RS"])
    until(lambda: dropped(pod).get(("tap0", "rs")) == 1, "the new tap is guarded")


def test_without_a_link_the_guard_of_the_others_is_in_force(pod):
    install(pod)
    pod.ip("link del eth0-nic")
    assert observed(pod).wrong == ()


@pytest.fixture
def notices(pod: Netns) -> Iterator[socket.socket]:
    with pod.call(nfnetlink.changes) as opened:
        yield opened


def test_changes_by_others_are_told_and_our_own_are_not(pod, notices):
    def changed(own: int | None = None) -> bool:
        return table_changes.changed(notices, "dsbridge", own)

    assert not changed()
    own = pod.call(lambda: guard_table.replace(TABLE))
    assert not changed(own)
    pod.call(lambda: guard_table.replace(TABLE))
    assert changed()
    for harmless in (
        "add table netdev somebody",
        "add chain netdev somebody dsbridge",
        "add table inet dsbridge",
        "delete table inet dsbridge",
    ):
        pod.run("nft", harmless)
        assert not changed(own), harmless
    for harmful in (
        "insert rule netdev dsbridge tap0 accept",
        "flush chain netdev dsbridge tap0",
        "add chain netdev dsbridge more",
        "delete table netdev dsbridge",
    ):
        pod.run("nft", harmful)
        assert changed(own), harmful
        assert not changed(own)


def test_a_flush_of_everything_concerns_us(pod, notices):
    own = pod.call(lambda: guard_table.replace(TABLE))
    pod.run("nft", "flush", "ruleset")
    assert table_changes.changed(notices, "dsbridge", own)


def test_lost_notices_concern_us(pod, notices):
    """More than the socket holds: the kernel says ENOBUFS."""
    notices.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    lines = "\n".join(f"add table netdev t{number}" for number in range(500))
    pod.run("sh", "-c", f"printf '%s' '{lines}' | nft -f -")
    assert table_changes.changed(notices, "dsbridge")
    assert not table_changes.changed(notices, "dsbridge")


def test_the_notices_take_net_admin_to_open_and_nothing_to_read(pod):
    """The sidecar, which has no privilege, is handed the socket by plumb."""
    code = "from binding.plumb import nfnetlink; print(nfnetlink.changes().type)"
    opened, refused = (
        subprocess.run(
            pod.command(*prefix, sys.executable, "-W", "ignore", "-c", code),
            cwd=ROOT, capture_output=True, text=True, check=False,
        )
        for prefix in (NET_ADMIN_ONLY, UNPRIVILEGED)
    )  # fmt: skip
    assert (opened.stdout, opened.stderr) == ("3\n", "")
    assert "PermissionError" in refused.stderr
