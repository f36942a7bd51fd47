"""Real clients end up with the pod's own addresses, routes and DNS, on every kind of CNI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv6Interface
from itertools import product
from pathlib import Path

import pytest

from guest.network import OUR_LINK_LOCAL
from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.layouts import LAYOUTS
from tests.bed.pod import NAMESERVERS, REMOTE4, REMOTE6, SEARCH
from tests.bed.wait import until
from tests.conftest import CLIENT_ON_CNI

CLIENTS = ("networkd", "dhclient", "dhcpcd", "networkmanager", "udhcpc")
DNS = {
    "dhclient": (),  # Debian's script keeps the servers of the family that bound last: either
    "udhcpc": NAMESERVERS[:1],  # knows no DHCPv6
}


def _combinations() -> Iterator[object]:
    """Yield every shape, layout and client; the marks keep `make test` short."""
    for shape, layout, name in product(("managed", "own"), LAYOUTS, CLIENTS):
        if shape == "managed":
            is_short = layout in ("flat", "calico") or name == "networkd"
        else:
            is_short = layout == "flat" and name in ("networkd", "dhcpcd")
        yield pytest.param(shape, layout, name, marks=() if is_short else pytest.mark.matrix)


@pytest.mark.parametrize(("shape", "layout", "name"), list(_combinations()))
def test_a_client_ends_up_with_the_pods_network(
    shape: str, layout: str, name: str, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    record_property(CLIENT_ON_CNI, (layout, name, "IPv4" if name == "udhcpc" else "IPv4, IPv6"))
    with started(layout, shape) as vm, client(name, vm.guest, tmp_path) as guest:
        lease = guest.lease(30, dns=DNS.get(name, NAMESERVERS))
        cni = vm.pod.layout
        assert lease.ipv4 == cni.told4
        assert str(lease.default4) == cni.gateway4
        assert set(lease.dns) <= set(NAMESERVERS)
        assert lease.lease_seconds is None
        assert lease.hostname in ("vmi-single", f"vmi-single.{SEARCH[0]}")
        assert str(lease.default6) == (cni.router or str(OUR_LINK_LOCAL))
        until(lambda: vm.guest.reaches(REMOTE4), "a host beyond the gateway, IPv4")
        if name == "udhcpc":  # which knows no DHCPv6; its kernel took the route from the RA
            assert lease.ipv6 == ()
            return
        assert lease.ipv6 == tuple(IPv6Interface(address.ip) for address in cni.ipv6)
        assert lease.search == SEARCH
        on_link = {dst for dst, via in lease.routes6 if via is None and "/" in dst}
        assert on_link == cni.on_link6
        until(lambda: vm.guest.reaches(REMOTE6), "a host beyond the gateway, IPv6")
