"""Servers and routers that nobody asked for: on the pod network, and inside the guest."""

from __future__ import annotations

from contextlib import ExitStack
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface

import pytest

from tests.bed.capture import capture
from tests.bed.clients import CLIENTS, client
from tests.bed.dnsmasq import dnsmasq
from tests.bed.guests import started_in
from tests.bed.lan import machine
from tests.bed.pod import NAMESERVERS, pod
from tests.bed.wait import until

ROGUE = 66
RANGES = (
    "--dhcp-range=10.244.1.100,10.244.1.200,1h",
    "--dhcp-range=fd00:10:244:1::100,fd00:10:244:1::200,64,1h",
    "--enable-ra",
    "--ra-param=eth0,high,4,1800",  # every 4 s, preferred to any other router
)
THEIRS = IPv4Network("10.244.1.96/27"), IPv4Network("10.244.1.128/25")


def shown(vm):
    return vm.sidecar.status()["guests"][0]


@pytest.fixture
def network(tmp_path):
    """A pod whose network has a rogue server and router for both families."""
    with ExitStack() as stack:
        made = stack.enter_context(pod("flat"))
        space = stack.enter_context(machine(made, ROGUE))
        server = stack.enter_context(dnsmasq(space, "eth0", tmp_path / "rogue", *RANGES))
        mac = space.query("link", "show", "dev", "eth0")[0]["address"]
        yield made, server, mac


def asks(frame, mac):
    """Say whether a frame is a DHCP request or an RS from this MAC."""
    if frame[6:12].hex(":") != mac:  # KubeVirt leaves IPv6 on at bridge and NIC: they solicit too
        return False
    if frame[12:14] == b"\x08\x00":
        return frame[23] == 17 and frame[36:38] == b"\x00\x43"
    if frame[12:14] != b"\x86\xdd":
        return False
    return (frame[20] == 17 and frame[56:58] == b"\x02\x23") or (
        frame[20] == 58 and frame[54] == 133
    )


def test_a_client_takes_the_rogue_where_nobody_guards(network, tmp_path):
    """The other tests mean something only because of this one."""
    made, _, _ = network
    off = {"dsbridge.io/default": {"provider": "off"}}
    with started_in(made, annotations=off) as vm, client("networkd", vm.guest, tmp_path) as guest:
        lease = guest.lease(20, until=lambda have: bool(have.ipv4))
        assert any(lease.ipv4[0].ip in range_ for range_ in THEIRS)


def test_no_client_of_ten_takes_the_rogue_and_none_of_their_requests_leaves(network, tmp_path):
    made, server, rogue = network
    mac = made.layout.mac
    with ExitStack() as stack:
        vm = stack.enter_context(started_in(made))
        outside = stack.enter_context(capture(made.gateway, "pod0"))
        ten = [*CLIENTS, "dhclient", "udhcpc"]
        guests = [
            stack.enter_context(client(name, vm.guest, tmp_path / f"{number}"))
            for number, name in enumerate(ten)
        ]
        assert len(guests) == 10
        asked = {"DISCOVER", "REQUEST", "SOLICIT", "RS"}
        until(lambda: asked <= shown(vm)["counters"].keys(), "requests of every kind")
        until(lambda: shown(vm)["counters"].get("rogue RA"), "an RA of the rogue")
        lease = until(lambda: (one := guests[0].observe()).ipv4 and one, "a lease")
        assert [frame for frame in outside.read().received if asks(frame, mac)] == []
        assert set(lease.ipv4) == {*made.layout.ipv4}
        assert {one.ip for one in lease.ipv6} <= {one.ip for one in made.layout.ipv6}
        assert {via for dst, via in lease.routes6 if dst == "default"} <= {made.layout.router}
        # The pod's own link may have solicited routers before it was wired: an RS says nothing.
        asked = [line for line in server.log.splitlines() if "DHCP" in line and mac in line]
        assert asked == []
        (warning,) = [text for text in shown(vm)["warnings"] if text.startswith("rogue RA")]
        assert rogue in warning


@pytest.mark.parametrize(
    "shield", [pytest.param(True, id="shielded"), pytest.param(False, id="shield: false")]
)
def test_a_server_inside_the_guest_reaches_others_only_without_the_shield(shield, tmp_path):
    with ExitStack() as stack:
        made = stack.enter_context(pod("flat"))
        victim = stack.enter_context(machine(made, 77, addressed=False))
        settings = {"dsbridge.io/default": {"shield": shield}}
        vm = stack.enter_context(started_in(made, annotations=settings))
        vm.guest.ip("""
            link set eth0 up
            addr add 10.244.1.5/24 dev eth0
            addr add fd00:10:244:1::5/64 dev eth0 nodad""")
        inside = stack.enter_context(dnsmasq(vm.guest, "eth0", tmp_path / "inside", *RANGES))
        at_victim = stack.enter_context(capture(victim, "eth0"))
        guest = stack.enter_context(client("udhcpc", victim, tmp_path / "victim"))
        until(lambda: "DHCPOFFER" in inside.log, "the guest's server answers")
        until(lambda: inside.log.count("RTR-ADVERT(eth0)") > 1, "the guest's router advertises")
        if shield:
            until(lambda: inside.log.count("DHCPDISCOVER") > 2, "the victim goes on asking")
            assert guest.observe().ipv4 == ()
            mac = bytes.fromhex(made.layout.mac.replace(":", ""))
            heard = [frame for frame in at_victim.read().received if frame[6:12] == mac]
            assert not any(frame[20] == 58 and frame[54] == 134 for frame in heard)
        else:
            until(lambda: guest.observe().ipv4, "a lease from the guest")


def test_without_net_admin_all_works_but_the_guard_which_is_said(tmp_path):
    without = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    with pod("flat") as made, started_in(made, prefix=without) as vm:
        assert vm.sidecar.status()["guard"] == "off"
        (warning,) = shown(vm)["warnings"]
        assert warning.startswith("guard off, ")
        assert "NET_ADMIN" in warning
        with client("networkd", vm.guest, tmp_path) as guest:
            lease = guest.lease(20, dns=NAMESERVERS)
        assert lease.ipv4 == (IPv4Interface("10.244.1.5/24"),)
        assert lease.ipv6 == (IPv6Interface("fd00:10:244:1::5/128"),)
