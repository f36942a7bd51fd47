"""A finite DHCPv4 lease from its first second to its release, as real clients live it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tests.bed.clients import Client, client
from tests.bed.guests import Started, started
from tests.bed.in_parallel import in_parallel
from tests.bed.netns import Netns
from tests.bed.pod import REMOTE4
from tests.bed.wait import until

LEASE = 20
SHORT = {"dsbridge.io/default": {"lease": LEASE, "ipv6": "off"}}
CLIENTS = ("dhclient", "dhcpcd", "networkd", "networkmanager", "udhcpc")
EXTRA = {
    # else its second try, 10 s after T1, comes when the 20 s are over
    "dhclient": "initial-interval 1; backoff-cutoff 2;",
    # nobody else has the address, which it would take 5 s to find out
    "dhcpcd": "noarp",
}


def running(name: str, vm: Started, where: Path) -> AbstractContextManager[Client]:
    return client(name, vm.guest, where, families=(4,), extra=EXTRA.get(name, ""))


def counters(vm: Started) -> dict[str, int]:
    return vm.sidecar.status()["guests"][0]["counters"]


def remaining(guest: Netns) -> int:
    """Seconds that the guest's kernel leaves its address; 2^32-1 when the client sets no end."""
    rows = guest.query("-4", "addr", "show", "dev", "eth0")
    return next((one["valid_life_time"] for row in rows for one in row["addr_info"]), 0)


def answered(vm: Started, state: str, timeout: float) -> None:
    """Wait until the last REQUEST was of this client state and got an ACK."""
    text = f"ACK to REQUEST: {vm.pod.layout.ipv4[0].ip}, {state}"
    until(lambda: text in vm.sidecar.log, text, timeout)


def test_a_client_renews_at_t1_by_unicast_and_gives_the_lease_back(tmp_path: Path) -> None:
    """/32 and a link-local gateway off the subnet, which the renewal is sent to (kubevirt#4678)."""

    def story(name: str) -> None:
        with (
            started("calico", "managed", SHORT) as vm,
            running(name, vm, tmp_path / name) as guest,
        ):
            first = guest.lease(20)
            assert first.lease_seconds == LEASE
            assert first.ipv4 == vm.pod.layout.ipv4
            asked = counters(vm)["DISCOVER"]  # a busy serve may answer the second one only
            until(lambda: vm.guest.reaches(REMOTE4), "a host beyond the gateway")
            answered(vm, "RENEWING", LEASE)
            until(lambda: remaining(vm.guest) > LEASE // 2, "a lifetime of its own again")
            again = guest.observe()
            assert (again.ipv4, again.routes4, again.dns) == (first.ipv4, first.routes4, first.dns)
            assert vm.guest.reaches(REMOTE4)
            guest.release()
            guest.lease(until=lambda lease: not lease.ipv4)
            if name != "networkmanager":  # which drops a lease without a word
                until(lambda: counters(vm).get("RELEASE") == 1, "RELEASE")
            seen = counters(vm)
            assert seen["DISCOVER"] == asked, "it never lost its lease"
            by_rapid_commit = asked if name == "dhcpcd" else 0
            assert seen["ACK"] == seen["REQUEST"] + by_rapid_commit
            assert not {"NAK", "DECLINE", "malformed"} & seen.keys()

    in_parallel(story, CLIENTS)


def test_a_client_without_any_gateway_renews_at_t1_by_unicast_too(tmp_path: Path) -> None:
    """Nobody but us is there to answer the ARP for the server. dhclient asks its routes first."""
    alone = {"dsbridge.io/default": {**SHORT["dsbridge.io/default"], "defaultRoute": False}}

    def story(name: str) -> None:
        with started("flat", "managed", alone) as vm, running(name, vm, tmp_path / name) as guest:
            first = guest.lease(20, until=lambda lease: bool(lease.ipv4))
            assert not any(gateway for _, gateway in first.routes4)
            answered(vm, "RENEWING", LEASE)
            assert "REBINDING" not in vm.sidecar.log
            assert counters(vm)["ARP reply"] >= 1

    in_parallel(story, ["networkd", "udhcpc"])


def test_a_client_whose_gateway_is_dead_rebinds_before_the_lease_ends(tmp_path: Path) -> None:
    """No ARP for the gateway, no unicast: at T2 the client asks everybody, and we answer."""

    def story(name: str) -> None:
        with started("flat", "managed", SHORT) as vm:
            vm.pod.gateway.ip("link set pod0 down")
            with running(name, vm, tmp_path / name) as guest:
                first = guest.lease(20)
                asked = counters(vm)["DISCOVER"]
                answered(vm, "REBINDING", LEASE)
                until(lambda: remaining(vm.guest) > LEASE // 2, "a lifetime of its own again")
                assert guest.observe().ipv4 == first.ipv4 == vm.pod.layout.ipv4
                assert "RENEWING" not in vm.sidecar.log
                assert counters(vm)["DISCOVER"] == asked, "it never lost its lease"

    in_parallel(story, CLIENTS)
