"""One guest with two NICs: which of them it asks, and sends, by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed.cable import cable
from tests.bed.clients import client
from tests.bed.clients.lease import kernel, variables
from tests.bed.clients.networkd import reload
from tests.bed.netns import Netns
from tests.bed.pod import NAMESERVERS
from tests.bed.wait import until
from tests.netns.test_many_nics import Bed, Network, bed, launched
from tests.samples import OWN_DOMAIN

ROUTERS = {"gateways": ["10.100.1.1", "fd00:10:100:1::1"]}
SECOND = """[Match]
Name=eth1
[Network]
DHCP=yes
[IPv6AcceptRA]
UseDomains=yes
"""


@contextmanager
def guest_of(made: Bed) -> Iterator[Netns]:
    """Plug the second network into the first one's guest, as eth1."""
    taps = {network: made.tap(network) for network in ("default", "blue")}
    with (
        cable(made.pod.netns, taps["default"], mac=made.mac("default"), mtu=1450) as guest,
        cable(made.pod.netns, taps["blue"], mac=made.mac("blue")) as other,
    ):
        other.ip(f"link set eth0 netns {guest.name} name eth1")
        yield guest


def test_networkd_asks_the_clusters_dns_by_the_pods_network_where_both_nics_have_a_default_route(
    tmp_path: Path,
) -> None:
    """It adds a host route to each server by each NIC that names one, all of one metric."""
    with bed(Network("blue")) as made, launched(made) as (side, hook):
        made.pod.gateway.ip("addr add fd00:10:100:1::1/64 dev more1 nodad")
        made.vmi["metadata"]["annotations"]["dsbridge.io/blue"] = json.dumps(ROUTERS)
        hook.define(OWN_DOMAIN, json.dumps(made.vmi))
        assert [one["warnings"] for one in side.status()["guests"]] == [[], []]
        with guest_of(made) as guest, client("networkd", guest, tmp_path) as inside:
            inside.guest.write("/run/systemd/network/20-second.network", SECOND)
            reload(inside.guest)

            def is_complete(nic: str) -> bool:
                have = kernel(guest, nic)
                return bool(have.ipv4 and have.ipv6 and have.has_default4)

            until(lambda: is_complete("eth1"), "the second NIC's addresses and default route", 30)
            lease = inside.lease(30, until=lambda now: set(NAMESERVERS) <= set(now.dns))
            assert lease.default4 is not None
            index = guest.query("link", "show", "dev", "eth1")[0]["ifindex"]
            state = f"/run/systemd/netif/links/{index}"
            until(lambda: "DNS=" in inside.guest.read(state), "what it was told by the second NIC")
            second = variables(inside.guest.read(state))
            assert (second["DNS"], second["DOMAINS"]) == ("", "")
            (asked,) = guest.query("route", "get", str(NAMESERVERS[0]))
            assert asked["dev"] == "eth0"


@pytest.mark.matrix
def test_networkd_reaches_a_server_by_a_route_where_another_nic_has_the_default_one(
    tmp_path: Path,
) -> None:
    """Its own host route to the server would have no gateway."""
    routed = {"defaultRoute": False, "routes": [{"to": "10.96.0.0/12", "via": "10.244.1.1"}]}
    with bed(Network("blue")) as made, launched(made) as (_, hook):
        annotations = made.vmi["metadata"]["annotations"]
        annotations |= {"dsbridge.io/default": json.dumps(routed)}
        annotations |= {"dsbridge.io/blue": json.dumps(ROUTERS)}
        hook.define(OWN_DOMAIN, json.dumps(made.vmi))
        with guest_of(made) as guest, client("networkd", guest, tmp_path) as inside:
            inside.lease(30, until=lambda now: NAMESERVERS[0] in now.dns)
            to_server = (str(NAMESERVERS[0]), None)
            until(lambda: to_server in kernel(guest, "eth0").routes4, "networkd's own route")
            (asked,) = guest.query("route", "get", str(NAMESERVERS[0]))
            assert (asked["dev"], asked.get("gateway")) == ("eth0", "10.244.1.1")
