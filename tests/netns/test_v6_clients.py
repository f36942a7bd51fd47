"""Real DHCPv6 clients through a whole life of their lease, against dhcp.v6 on a bare link."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, IPv6Interface
from pathlib import Path

import pytest

from binding.codec import encode
from binding.guest import GuestNetwork
from tests.bed.clients import client
from tests.bed.netns import Netns, end, netns
from tests.bed.wait import until

pytestmark = pytest.mark.netns
OLD, NEW = IPv6Interface("fd77::42/128"), IPv6Interface("fd88::77/128")
GUEST = GuestNetwork(
    network="default",
    tap="tap0",
    mac="02:00:00:00:77:42",
    mtu=1500,
    uid="6ad1",
    ipv6=(OLD,),
    dns=(IPv6Address("fd77::53"),),
    search=("a.example", "b.example"),
)
# dhcp6c: a second association, declared behind its interface block.
BOTH = "send ia-na 7; }; id-assoc na 7 { }; interface lo {"
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Link:
    """The guest's namespace and the server at the other end of its cable."""

    guest: Netns
    server: subprocess.Popen[bytes]
    log: Path

    def serve(self, guest: GuestNetwork) -> None:
        """Answer as this guest's from now on."""
        assert self.server.stdin is not None
        self.server.stdin.write(encode(guest).encode() + b"\n")
        self.server.stdin.flush()

    def heard(self, exchange: str) -> bool:
        return any(line.startswith(exchange) for line in self.log.read_text().splitlines())


@contextmanager
def link(workdir: Path, guest: GuestNetwork = GUEST) -> Iterator[Link]:
    log = workdir / "exchanges"
    with netns("v6s") as far, netns("v6g") as near, log.open("wb") as out:
        near.ip(f"link add eth0 address {GUEST.mac} type veth peer name tap0 netns {far.name}")
        far.sysctl(ipv6__conf__tap0__disable_ipv6=1)
        far.ip("link set tap0 up")
        command = (sys.executable, "-m", "tests.netns.v6_server", "tap0")
        server = far.popen(*command, stdin=subprocess.PIPE, stdout=out, cwd=ROOT)
        try:
            made = Link(near, server, log)
            made.serve(guest)
            until(lambda: made.heard("ready"), "the server listens")
            yield made
        finally:
            assert server.stdin is not None
            server.stdin.close()
            end(server)


@pytest.mark.parametrize("name", ["dhclient", "dhcpcd", "networkd", "networkmanager", "dhcp6c"])
def test_client_leases_and_resolves(name: str, tmp_path: Path) -> None:
    with link(tmp_path) as wire, client(name, wire.guest, tmp_path, families=(6,)) as guest:
        lease = guest.lease(dns=GUEST.dns)
        assert lease.ipv6 == (OLD,)
        assert lease.search == GUEST.search


@pytest.mark.parametrize(
    ("name", "deed", "exchange"),
    [
        ("dhcpcd", "renew", "RENEW REPLY fd77::42, lease infinite"),
        ("dhcpcd", "release", "RELEASE REPLY fd77::42"),
        ("dhclient", "release", "RELEASE REPLY fd77::42"),
        ("dhcp6c", "release", "RELEASE REPLY fd77::42"),
    ],
)
def test_client_renews_and_releases(name: str, deed: str, exchange: str, tmp_path: Path) -> None:
    with link(tmp_path) as wire, client(name, wire.guest, tmp_path, families=(6,)) as guest:
        guest.lease()
        getattr(guest, deed)()
        until(lambda: wire.heard(exchange), exchange, 10)


@pytest.mark.parametrize(("address", "status"), [(OLD, "fd77::42"), (NEW, "NotOnLink: fd77::42")])
def test_client_confirms_after_a_link_flap(
    address: IPv6Interface, status: str, tmp_path: Path
) -> None:
    """Row 23: with another pod address behind the link, the guest has it within 10 s."""
    with link(tmp_path) as wire, client("dhcpcd", wire.guest, tmp_path, families=(6,)) as guest:
        guest.lease()
        guest.link(up=False)
        wire.serve(replace(GUEST, ipv6=(address,)))
        guest.link(up=True)
        until(lambda: wire.heard(f"CONFIRM REPLY {status}"), f"CONFIRM: {status}", 10)
        guest.lease(10, lambda lease: lease.ipv6 == (address,))


def test_restarted_client_with_a_dead_address_gets_the_new_one(tmp_path: Path) -> None:
    with link(tmp_path) as wire, client("dhclient", wire.guest, tmp_path, families=(6,)) as guest:
        guest.lease()
        guest.stop()
        wire.serve(replace(GUEST, ipv6=(NEW,)))
        guest.start()
        guest.lease(10, lambda lease: NEW in lease.ipv6)
        assert wire.heard("CONFIRM REPLY NotOnLink: fd77::42")


@pytest.mark.parametrize("name", ["dhclient", "networkd"])
def test_client_renews_by_its_timers(name: str, tmp_path: Path) -> None:
    """Row 22 with a finite lease: T1 is half of it."""
    short = replace(GUEST, lease=20)
    with link(tmp_path, short) as wire, client(name, wire.guest, tmp_path, families=(6,)) as guest:
        guest.lease()
        until(lambda: wire.heard("RENEW REPLY fd77::42, lease 20 s"), "RENEW", 15)
        assert guest.observe().ipv6 == (OLD,)


@pytest.mark.parametrize("name", ["dhcpcd", "networkmanager"])
def test_stateless_client_gets_options_and_no_address(name: str, tmp_path: Path) -> None:
    """Row 3: `ipv6: slaac` announces O without M."""
    slaac = replace(GUEST, ipv6_mode="slaac")
    with link(tmp_path, slaac) as wire, client(name, wire.guest, tmp_path, families=(6,)) as guest:
        lease = guest.lease(until=lambda lease: set(GUEST.dns) <= set(lease.dns))
        assert lease.ipv6 == ()
        assert wire.heard("INFORMATION-REQUEST REPLY options only")


def test_two_ias_of_one_client_are_both_answered(tmp_path: Path) -> None:
    """The second has NoAddrsAvail in every answer and the first has the address."""
    with (
        link(tmp_path) as wire,
        client("dhcp6c", wire.guest, tmp_path, families=(6,), extra=BOTH) as guest,
    ):
        assert guest.lease().ipv6 == (OLD,)
        assert wire.heard("REQUEST REPLY fd77::42, lease infinite")
