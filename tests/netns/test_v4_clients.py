"""What real DHCPv4 clients do beyond a first lease: stale ones, INFORM, a conflict, big answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from tests.bed.clients import Client, client
from tests.bed.guests import Started, started
from tests.bed.in_parallel import in_parallel
from tests.bed.pod import REMOTE4, Pod
from tests.bed.wait import until
from tests.samples import vmi_json

V4_ONLY = {"dsbridge.io/default": {"ipv6": "off"}}
MOVED = IPv4Interface("10.244.1.9/24")
NOW_ELSEWHERE = {
    "dsbridge.io/default": {
        "ipv6": "off", "addresses": [str(MOVED)], "gateways": ["10.244.1.1"],
    }
}  # fmt: skip
ROUTES = tuple(f"10.{100 + n}.{n}.0/24" for n in range(40))
# 12 search domains within one option, and over its 255 bytes.
SHORT = tuple(f"team-{n:02}.example.org" for n in range(12))
LONG = tuple(f"team-{n:02}.department-{n:02}.example.org" for n in range(12))
# Nobody else has the address, which dhcpcd would take 5 s to find out.
EXTRA = {"dhcpcd": "noarp"}


def page(vm: Started) -> dict[str, Any]:
    """Return the guest's part of `status --json`."""
    return vm.sidecar.status()["guests"][0]


def running(name: str, vm: Started, where: Path) -> AbstractContextManager[Client]:
    return client(name, vm.guest, where, families=(4,), extra=EXTRA.get(name, ""))


def reboot(guest: Client, name: str) -> None:
    """Make the client forget the running lease but not the one on file."""
    if name == "networkd":  # keeps none over its own end; a lost link is its reboot
        guest.carrier(on=False)
        guest.lease(until=lambda lease: not lease.ipv4)
        guest.carrier(on=True)
        return
    guest.stop()
    guest.guest.netns.ip("link set eth0 down\naddr flush dev eth0")
    guest.start()


@pytest.mark.parametrize("name", ["dhclient", "dhcpcd", "networkmanager", "networkd"])
def test_a_reboot_confirms_the_address_of_this_pod_and_corrects_that_of_another(
    name: str, tmp_path: Path
) -> None:
    """INIT-REBOOT: an ACK and no DISCOVER; a NAK, and at once a lease of the other address."""
    with (
        started("flat", "managed", V4_ONLY) as vm,
        running(name, vm, tmp_path) as guest,
    ):
        guest.lease(20)
        asked = page(vm)["counters"]["DISCOVER"]
        reboot(guest, name)
        text = "ACK to REQUEST: 10.244.1.5, INIT-REBOOT"
        until(lambda: text in vm.sidecar.log, text)
        assert guest.lease(12).ipv4 == vm.pod.layout.ipv4
        assert page(vm)["counters"]["DISCOVER"] == asked

        vm.hook.on_define_domain(vm.domain, vmi_json(NOW_ELSEWHERE))
        reboot(guest, name)
        lease = guest.lease(12, lambda lease: lease.ipv4 == (MOVED,))
        assert str(lease.default4) == "10.244.1.1"
        text = "NAK to REQUEST: 10.244.1.5, INIT-REBOOT"
        until(lambda: text in vm.sidecar.log, text)
        assert page(vm)["counters"]["NAK"] >= 1
        until(lambda: vm.guest.reaches(REMOTE4), "a host beyond the gateway")


def test_a_guest_with_a_static_address_is_informed(tmp_path: Path) -> None:
    inform = "inform 10.244.1.5/24"  # 9.4.1 dies of it together with noarp
    with (
        started("flat", "managed", V4_ONLY) as vm,
        client("dhcpcd", vm.guest, tmp_path, families=(4,), extra=inform) as guest,
    ):
        lease = guest.lease(20)
        assert lease.ipv4 == vm.pod.layout.ipv4
        assert lease.lease_seconds is None
        assert str(lease.default4) == "10.244.1.1"
        assert lease.mtu == vm.pod.layout.mtu
        until(lambda: "INFORM" in page(vm)["last"], "the report")
        shown = page(vm)
        assert shown["last"]["INFORM"]["reply"] == "ACK"
        assert shown["counters"]["ACK"] == shown["counters"]["INFORM"] >= 1
        assert "DISCOVER" not in shown["counters"]


def test_an_address_that_somebody_else_uses_is_declined_and_the_operator_warned(
    tmp_path: Path,
) -> None:
    with started("flat", "managed", V4_ONLY) as vm:
        vm.pod.gateway.ip("addr add 10.244.1.5/32 dev cni0")
        with client("dhcpcd", vm.guest, tmp_path, families=(4,)) as guest:
            text = "silence to DECLINE: 10.244.1.5 is in use elsewhere, the guest reports"
            until(lambda: text in page(vm)["warnings"], text)
            assert guest.observe().ipv4 == ()
            vm.pod.gateway.ip("addr del 10.244.1.5/32 dev cni0")
            assert guest.lease(30).ipv4 == vm.pod.layout.ipv4


def crowded(*search: str) -> Callable[[Pod], None]:
    """Give the pod link 40 routes more, and the pod these search domains."""

    def prepare(made: Pod) -> None:
        made.netns.ip("\n".join(f"route add {net} via 10.244.1.1" for net in ROUTES))
        searching(*search)(made)

    return prepare


def searching(*search: str) -> Callable[[Pod], None]:
    def prepare(made: Pod) -> None:
        made.resolv_conf.write_text(f"nameserver 10.96.0.10\nsearch {' '.join(search)}\n")

    return prepare


def test_forty_routes_reach_the_guest_and_the_search_list_where_there_is_room(
    tmp_path: Path,
) -> None:
    """Clients that name no size get 576 bytes; the operator reads what was left out."""
    no_room = "no room for option 119"

    def story(name: str) -> None:
        with (
            started("flat", "managed", V4_ONLY, crowded(*LONG)) as vm,
            running(name, vm, tmp_path / name) as guest,
        ):
            lease = guest.lease(20)
            assert set(ROUTES) <= {dst for dst, via in lease.routes4 if via == "10.244.1.1"}
            until(lambda: vm.guest.reaches(REMOTE4), "a host beyond the gateway")
            small = name in ("dhclient", "networkmanager")
            note = "".join(one["note"] for one in page(vm)["last"].values())
            assert (no_room in note) is small
            if name != "networkd":  # 252 reads no list of more than 255 bytes
                assert lease.search == (LONG[:2] if small else LONG)

    in_parallel(story, ["dhclient", "dhcpcd", "networkd", "networkmanager"])


def test_twelve_search_domains_reach_the_guest(tmp_path: Path) -> None:
    given = {"dhclient": LONG, "dhcpcd": LONG, "networkmanager": LONG, "networkd": SHORT}

    def story(name: str) -> None:
        with (
            started("flat", "managed", V4_ONLY, searching(*given[name])) as vm,
            running(name, vm, tmp_path / name) as guest,
        ):
            assert guest.lease(20).search == given[name]

    in_parallel(story, given)
