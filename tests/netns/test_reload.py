"""`dsbridge reload`: what a guest that runs is told at once, what later, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress
from ipaddress import IPv6Address, ip_address

import pytest

from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.launcher import collect
from tests.bed.pod import BLUE, NAMESERVERS, pod
from tests.bed.reload import reload
from tests.bed.sidecar import sidecar
from tests.bed.udhcpc import leased
from tests.bed.wait import until
from tests.samples import TWO_NICS, TWO_NICS_DOMAIN


def guest(side):
    return side.status()["guests"][0]


def serve(side):
    return next(one for one in side.status()["processes"] if one["name"] == "serve")["pid"]


@pytest.mark.parametrize("shape", ["managed", "own"])
def test_a_guest_hears_at_once_what_advertisements_can_say(shape, tmp_path):
    with started("flat", shape) as vm, client("networkd", vm.guest, tmp_path) as inside:
        inside.lease(dns=NAMESERVERS)
        server = ip_address("fd00:10:96::53")
        done = reload(
            vm.sidecar,
            {"mtu": 1400, "dns": [str(server)], "routes": [{"to": "fd00:77::/64", "via": GATEWAY}]},
        )
        assert done.returncode == 0, done.stderr
        lease = inside.lease(
            until=lambda now: ("fd00:77::/64", vm.pod.layout.router) in now.routes6
        )
        assert lease.default6 == IPv6Address(vm.pod.layout.router)
        inside.lease(until=lambda now: server in now.dns)
        now, later = done.stdout.split("when the guest asks DHCP next")
        assert "MTU: 1400 (was 1450), by RA" in now
        assert "MTU: 1400 (was 1450), by DHCPv4" in later
        assert "its leases are infinite" in later
        inside.carrier(on=False)
        inside.carrier(on=True)
        # Its former lease named the pod's servers.
        inside.lease(until=lambda now: now.mtu == 1400 and NAMESERVERS[1] not in now.dns)


GATEWAY = "fd00:10:244:1::1"


def test_what_is_taken_away_again_ends_in_the_guests_kernel(tmp_path):
    routes = [{"to": "fd00:77::/64", "via": GATEWAY}]
    with (
        started("flat", "managed", {"dsbridge.io/default": {"routes": routes}}) as vm,
        client("kernel-ra", vm.guest, tmp_path) as inside,
    ):
        vm.guest.sysctl(ipv6__conf__eth0__accept_ra_rt_info_max_plen=64)
        has = ("fd00:77::/64", vm.pod.layout.router)
        inside.lease(until=lambda now: has in now.routes6)
        assert reload(vm.sidecar, {"routes": [], "mtu": 1400}).returncode == 0
        lease = inside.lease(until=lambda now: has not in now.routes6)
        assert lease.default6 is not None
        assert "1400" in vm.guest.run("cat", "/proc/sys/net/ipv6/conf/eth0/mtu")
        assert reload(vm.sidecar, "", "--reset").returncode == 0
        inside.lease(until=lambda now: has in now.routes6)


def test_an_address_of_the_guests_own_making_is_deprecated_when_slaac_is_over(tmp_path):
    with (
        started("flat", "managed", {"dsbridge.io/default": {"ipv6": "slaac"}}) as vm,
        client("kernel-ra", vm.guest, tmp_path) as inside,
    ):
        inside.lease(until=lambda now: now.ipv6)
        assert reload(vm.sidecar, {"ipv6": "dhcp"}).returncode == 0
        until(lambda: "deprecated" in vm.guest.run("ip", "-6", "addr", "show", "eth0"), "its end")
        assert inside.observe().default6 is not None


@pytest.mark.parametrize(
    "settings", [{"ipv6": "off"}, {"provider": "kube-ovn"}, {"defaultRoute": False}]
)
def test_a_default_route_that_is_no_more_is_withdrawn_at_once(settings, tmp_path):
    with started("flat", "managed") as vm, client("kernel-ra", vm.guest, tmp_path) as inside:
        inside.lease(until=lambda now: now.default6 is not None)
        assert reload(vm.sidecar, settings).returncode == 0
        inside.lease(until=lambda now: now.default6 is None)


def test_another_gateway_takes_the_place_of_the_former(tmp_path):
    other = "fe80::aa:bbff:fecc:2"
    with started("flat", "managed") as vm, client("kernel-ra", vm.guest, tmp_path) as inside:
        vm.pod.gateway.ip(f"addr add {other}/64 dev cni0 nodad")
        inside.lease(until=lambda now: now.default6 == IPv6Address(vm.pod.layout.router))
        assert reload(vm.sidecar, {"gateways": [other]}).returncode == 0
        lease = inside.lease(
            until=lambda now: {via for dst, via in now.routes6 if dst == "default"} == {other}
        )
        assert lease.default6 == IPv6Address(other)


@pytest.mark.parametrize(
    ("settings", "words", "says"),
    [
        ({"mtu": 1400, "lease": "soon"}, (), "dsbridge.io/default: lease"),
        ({"mut": 1400}, (), "did you mean mtu"),
        ("{", (), "not JSON"),
        ({"mtu": 1000}, (), "1280"),
        ({}, ("blue",), "only of default"),
        ("", (), "stdin"),
    ],
)
def test_bad_settings_are_refused_whole_and_what_was_served_goes_on(settings, words, says):
    with started("flat", "managed") as vm:
        vm.guest.ip("link set eth0 up")
        assert leased(vm.guest)
        before, pid = guest(vm.sidecar)["told"], serve(vm.sidecar)
        done = reload(vm.sidecar, settings, *words)
        assert done.returncode == 1
        assert says in done.stdout + done.stderr
        assert guest(vm.sidecar)["told"] == before
        assert leased(vm.guest)
        assert serve(vm.sidecar) == pid
        assert vm.sidecar.status()["reloaded"] == {}


def test_what_was_reloaded_outlives_serve_and_sidecar():
    with started("flat", "managed") as vm:
        vm.guest.ip("link set eth0 up")
        assert leased(vm.guest)
        settings = {"addresses": ["10.244.1.99/24"]}
        assert reload(vm.sidecar, settings, "default").returncode == 0
        assert leases(vm.guest, "10.244.1.99")
        os.kill(serve(vm.sidecar), signal.SIGKILL)
        until(lambda: leases(vm.guest, "10.244.1.99", "b"), "serve has been replaced")
        vm.sidecar.process.kill()
        vm.sidecar.process.wait()
        with sidecar(vm.pod) as again:
            until(lambda: leases(vm.guest, "10.244.1.99", "c"), "the sidecar has been replaced")
            assert json.loads(again.status()["reloaded"]["default"]) == settings
            # What the CNI changes from now on is found by the same settings.
            vm.pod.netns.ip("link set eth0-nic mtu 1300")
            until(lambda: guest(again)["mtu"] == 1300, "the MTU")
            assert guest(again)["ipv4"] == ["10.244.1.99/24"]
            assert reload(again, "", "--reset").returncode == 0
            assert guest(again)["ipv4"] == ["10.244.1.5/24"]


def test_the_pods_annotations_are_the_settings_where_none_are_on_stdin(tmp_path, monkeypatch):
    file = tmp_path / "annotations"
    monkeypatch.setenv("DSBRIDGE_ANNOTATIONS", str(file))
    started_with = {"dsbridge.io/default": {"mtu": 1420}}
    with (
        started("flat", "managed", started_with) as vm,
        client("networkd", vm.guest, tmp_path) as inside,
    ):
        inside.lease(until=lambda now: now.mtu == 1420)
        done = reload(vm.sidecar)
        assert done.returncode == 1
        assert str(file) in done.stderr
        # As the kubelet writes them after `kubectl annotate pod`.
        settings = json.dumps({"mtu": 1400, "search": ["web.example"]})
        file.write_text(f'a="\\x7f"\ndsbridge.io/default={json.dumps(settings)}\nz="1"\n')
        done = reload(vm.sidecar)
        assert done.returncode == 0, done.stderr
        assert "MTU: 1400 (was 1420), by RA" in done.stdout
        assert guest(vm.sidecar)["told"]["search"] == ["web.example"]
        inside.lease(until=lambda now: now.mtu == 1400 or "web.example" in now.search)
        file.write_text('a="1"\n')
        assert reload(vm.sidecar).returncode == 0
        assert guest(vm.sidecar)["mtu"] == 1420


def test_the_dns_of_a_network_is_read_again_by_a_reload(tmp_path):
    file = tmp_path / "annotations"
    with (
        pod("flat", blue=True) as made,
        sidecar(made, DSBRIDGE_ANNOTATIONS=str(file)) as running,
        collect(running.hooks_dir) as hook,
    ):
        hook.define(TWO_NICS_DOMAIN, TWO_NICS)

        def told():
            return running.status()["guests"][1]["told"]["dns"]

        assert told() == []
        status = json.dumps([{"interface": BLUE, "dns": {"nameservers": ["10.100.0.53"]}}])
        file.write_text(f"k8s.v1.cni.cncf.io/network-status={json.dumps(status)}\n")
        assert reload(running, "", "blue", "--reset").returncode == 0
        assert told() == ["10.100.0.53"]


def leases(netns, address, name="a"):
    words = f"udhcpc -f -n -q -t 3 -T 1 -x hostname:{name} -i eth0 -s /bin/true"
    return address in netns.run("sh", "-c", f"busybox {words} 2>&1", check=False)


def talk(path, said):
    with socket.socket(socket.AF_UNIX) as client, suppress(BrokenPipeError, ConnectionResetError):
        client.connect(str(path))
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        return client.recv(4096)
    return b""


def test_nobody_who_talks_nonsense_holds_up_the_sidecar():
    with started("flat", "managed") as vm:
        path = vm.sidecar.hooks_dir / "state/control.sock"
        said = [talk(path, nonsense) for nonsense in (b"", b"x" * 70_000, b"{}\n", b"[" * 5_000)]
        assert b"not a question" in said[2]
        assert reload(vm.sidecar, {"mtu": 1400}).returncode == 0
