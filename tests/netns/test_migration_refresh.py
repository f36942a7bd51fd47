"""A guest whose address changes with a migration (`link-refresh`): what it has then, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

import pytest

from tests.bed.clients import Client, client
from tests.bed.clients.lease import kernel
from tests.bed.kernel_guest import default_routers
from tests.bed.layouts import LAYOUTS
from tests.bed.netns import Netns
from tests.bed.nodes import guest_of, launched, lead_to_target, two_nodes
from tests.bed.pod import REMOTE4, REMOTE6
from tests.bed.wait import until
from tests.conftest import REFRESH

SOURCE = LAYOUTS["flat"]
TARGET = replace(
    SOURCE,
    mac="0a:58:0a:f4:02:07",
    ipv4=(IPv4Interface("10.244.2.7/24"),),
    ipv6=(IPv6Interface("fd00:10:244:2::7/64"),),
    routes=("default via 10.244.2.1", "default via fd00:10:244:2::1"),
    gateway=SOURCE.gateway.replace("f4:01:01", "f4:02:01")
    .replace("10.244.1.", "10.244.2.")
    .replace("fd00:10:244:1:", "fd00:10:244:2:"),
    gateway_mac="0a:58:0a:f4:02:01",
    router="fe80::858:aff:fef4:201",
)
OLD = {one.ip for one in (*SOURCE.ipv4, *SOURCE.ipv6)}
BEYOND = "2001:db8:ffff::"
"""Addresses that nobody has."""
WITHIN = 10
"""Seconds after the link is up again."""
DEAF = ("dhclient", "udhcpc")
"""Clients that do not watch the link; ifplugd and its like start them again."""
LEASE = {"networkmanager": 20}
"""Seconds, by client that overlooks a link that is down for 0.1 s.

NetworkManager 1.42 in a VM asked nothing after 0.1 s and after 3 s, everything anew after 8 s. So
it has to find out by its renewal, after half the lease.
"""
CLIENTS = ["networkd", *(
    pytest.param(name, marks=pytest.mark.matrix)
    for name in ("networkmanager", "dhcpcd", "dhclient", "udhcpc")
)]  # fmt: skip


def addresses(guest: Netns) -> set[object]:
    have = kernel(guest, "eth0")
    return {one.ip for one in (*have.ipv4, *have.ipv6)}


@contextmanager
def moved(name: str, workdir: Path) -> Iterator[tuple[Client, Netns]]:
    """Yield a guest that got its leases on the source and runs on the target now."""
    settings = {"lease": LEASE[name]} if name in LEASE else {}
    with (
        two_nodes(SOURCE, TARGET) as (source, target),
        launched(source, mac=SOURCE.mac, **settings) as on_source,
        guest_of(source, SOURCE.mac) as (guest, migration),
        client(name, guest, workdir) as asking,
    ):
        lease = asking.lease(30)
        assert lease.ipv4 == SOURCE.ipv4
        assert default_routers(guest) == [SOURCE.router]
        with launched(target, mac=SOURCE.mac, arriving=True, **settings):
            migration.open(target.netns)
            migration.move(SOURCE.mac)
            lead_to_target(source, target)
            migration.close()
            on_source.hook.shutdown()
            yield asking, guest


def link_refresh(asking: Client) -> None:
    """Do what virt-launcher does on the target; 100 ms are its own."""
    asking.carrier(on=False)
    # A kernel tells of one change of carrier a second, and here it has more guests than this one.
    until(lambda: not _is_up(asking), "the guest sees that its link is down")
    time.sleep(0.1)
    asking.carrier(on=True)
    if asking.name in DEAF:
        asking.stop()
        asking.start()


def _has_only_the_new_router(guest: Netns) -> bool:
    """Say so after sixteen flows, which Linux spreads over its routers.

    A former one is ended once the guest uses it.
    """
    flows = f"for n in $(seq 16); do busybox ping -c 1 -W 1 {BEYOND}$n & done; wait"
    guest.run("sh", "-c", f"{flows} >/dev/null 2>&1")
    return default_routers(guest) == [TARGET.router]


def _is_up(asking: Client) -> bool:
    return asking.guest.netns.query("link", "show", "dev", "eth0")[0]["operstate"] == "UP"


@pytest.mark.parametrize("name", CLIENTS)
def test_it_has_the_new_addresses_alone_and_the_new_router(
    name: str, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    with moved(name, tmp_path) as (asking, guest):
        wanted = {one.ip for one in TARGET.ipv4}
        if name != "udhcpc":  # which leaves IPv6 to the kernel, and that has no DHCPv6
            wanted |= {one.ip for one in TARGET.ipv6}
        link_refresh(asking)
        start = time.monotonic()

        def seconds(what: Callable[[], bool], about: str) -> str:
            try:
                until(what, f"{name}: {about}", LEASE.get(name, WITHIN))
            except TimeoutError as error:
                have = addresses(guest), default_routers(guest)
                raise TimeoutError(f"{error}; it has {have}\n{asking.log[-6000:]}") from None
            return f"{time.monotonic() - start:.1f} s"

        new = seconds(lambda: wanted <= addresses(guest), "the new addresses")
        old = seconds(lambda: not OLD & addresses(guest), "without the old ones")
        until(lambda: guest.reaches(REMOTE4), "a host beyond the gateway, IPv4")
        if name != "udhcpc":
            until(lambda: guest.reaches(REMOTE6), "a host beyond the gateway, IPv6")
        router = "sends no IPv6"
        if name != "udhcpc":
            router = seconds(lambda: _has_only_the_new_router(guest), "the new router alone")
            assert all(guest.reaches(REMOTE6) for _ in range(6))
        of_lease = f", `lease` of {LEASE[name]} s" if name in LEASE else ""
        record_property(REFRESH, (f"{name}{of_lease}", new, old, router))
