"""What a pod's network consists of, to be compared before and after something was tried."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from tests.bed.netns import Netns
from tests.bed.wait import until

_OF_A_LINK = ("ifindex", "ifname", "address", "mtu", "master", "inet6_addr_gen_mode")


def link(space: Netns, name: str) -> dict[str, Any]:
    """Return one link with all that iproute2 shows of it."""
    return space.query("-d", "link", "show", "dev", name)[0]


def links(space: Netns) -> set[str]:
    """Return the names of all links but lo."""
    return set(indexes(space)) - {"lo"}


def indexes(space: Netns) -> dict[str, int]:
    """Return the interface index of each link."""
    return {one["ifname"]: one["ifindex"] for one in space.query("link", "show")}


def state(space: Netns) -> dict[str, list[dict[str, Any]]]:
    """Return all that a rollback has to bring back, once duplicate address detection is over.

    What the kernel changes by itself is left out: whether a link's far end is up, lifetimes.
    """
    until(lambda: "tentative" not in str(space.query("addr", "show")), "DAD")
    shown = space.query("-d", "addr", "show")
    routes = space.query("-4", "route", "show", "table", "all")
    routes += space.query("-6", "route", "show", "table", "all")
    arp_ignore = {
        one["ifname"]: space.run("cat", f"/proc/sys/net/ipv4/conf/{one['ifname']}/arp_ignore")
        for one in shown
        if one["ifname"] == "eth0"
    }
    return {
        "links": [
            {key: one.get(key) for key in _OF_A_LINK} | {"up": "UP" in one["flags"]}
            for one in shown
        ],
        "addresses": sorted(
            (
                {"link": one["ifname"]} | _lasting(address)
                for one in shown
                for address in one["addr_info"]
            ),
            key=str,
        ),
        "routes": sorted((_lasting(route) for route in routes), key=str),
        "neighbours": sorted(space.query("neigh", "show", "nud", "permanent"), key=str),
        "arp_ignore": [arp_ignore],
    }


def as_before(space: Netns, before: dict[str, list[dict[str, Any]]]) -> bool:
    """Assert that a pod is as it was; the kernel's own routes come back a little later."""
    with suppress(TimeoutError):
        return until(lambda: state(space) == before, "the pod is as it was", 5)
    assert state(space) == before
    return True


def _lasting(shown: dict[str, Any]) -> dict[str, Any]:
    """Return an address or route without what changes by itself."""
    passing = {"valid_life_time", "preferred_life_time", "flags"}
    return {key: value for key, value in shown.items() if key not in passing}
