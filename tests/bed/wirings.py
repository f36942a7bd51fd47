"""Wiring a pod's links by the real child, and what a rollback has to bring back."""

from __future__ import annotations

import json
from ipaddress import ip_interface

from binding.ipc import codec
from binding.ipc.wiring import Wiring
from binding.packet import link_names
from tests.bed.netns import Netns
from tests.bed.pods import MAC, link, plumb
from tests.bed.wait import until

ETH0 = link_names.links("eth0", primary=True)
ADDRESSES = (ip_interface("10.0.0.42/24"), ip_interface("fd00::42/64"))
PRIMARY = Wiring(ETH0, MAC, 1450, ADDRESSES)


def wire(space: Netns, *wirings: Wiring, prefix: tuple[str, ...] = ()) -> dict[str, object]:
    done = plumb(space, "wire", stdin=codec.encode(wirings or (PRIMARY,)), prefix=prefix)
    answer = json.loads(done.stdout)
    assert (done.returncode == 0) is ("wired" in answer), done
    return answer


def links(space: Netns) -> set[str]:
    return {one["ifname"] for one in space.query("link", "show")} - {"lo"}


def indexes(space: Netns) -> dict[str, int]:
    return {one["ifname"]: one["ifindex"] for one in space.query("link", "show")}


def state(space: Netns) -> list[object]:
    """All that a rollback has to bring back, once duplicate address detection is over."""
    until(lambda: "tentative" not in str(space.query("addr", "show")), "DAD")
    eth0 = link(space, "eth0")
    routes = space.query("-4", "route", "show", "table", "all")
    routes += space.query("-6", "route", "show", "table", "all")
    return [
        links(space),
        [eth0["ifindex"], eth0["address"], eth0["mtu"], eth0["flags"]],
        space.query("addr", "show", "dev", "eth0")[0]["addr_info"],
        sorted(routes, key=str),
    ]
