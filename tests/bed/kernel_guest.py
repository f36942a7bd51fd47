"""A guest without any client: the pod's addresses set by hand, its IPv6 router by RA."""

from __future__ import annotations

from tests.bed.clients.lease import kernel
from tests.bed.guests import Started
from tests.bed.netns import Netns
from tests.bed.wait import until


def addressed(vm: Started, *, dad: bool = False) -> Netns:
    """Bring the guest up as after its lease and return it with both default routes.

    Duplicate address detection takes two seconds; `dad` is for who wants to see it.
    """
    layout, guest = vm.pod.layout, vm.guest
    guest.sysctl(ipv6__conf__eth0__dad_transmits=int(dad))
    guest.ip("link set eth0 up")
    guest.ip(
        "\n".join(f"addr add {one if layout.connected else one.ip} dev eth0" for one in layout.ipv4)
    )
    guest.ip("\n".join(f"addr add {one.ip}/128 dev eth0" for one in layout.ipv6))
    guest.ip("\n".join(f"route add {to}" for to in layout.routes if ":" not in to))
    until(lambda: kernel(guest, "eth0").has_default6, "a default route by RA")
    until(lambda: kernel(guest, "eth0").ipv6, "the pod's IPv6 address")
    return guest


def lladdrs(guest: Netns) -> dict[str, str | None]:
    """Return the MAC of each neighbour that the guest's kernel knows."""
    found = guest.query("neigh", "show", "dev", "eth0")
    return {item["dst"]: item.get("lladdr") for item in found}


def default_routers(guest: Netns) -> list[str | None]:
    """Return the gateways of all IPv6 default routes of the guest."""
    return [
        hop.get("gateway")
        # Not `dev eth0`: that leaves out a route with several gateways.
        for route in guest.query("-6", "route", "show", "default")
        for hop in route.get("nexthops", (route,))
    ]


def hurry(guest: Netns) -> None:
    """Let the kernel doubt an IPv6 neighbour every 0.15 to 0.45 s, not every 20 to 50 s."""
    guest.sysctl(
        ipv6__neigh__eth0__base_reachable_time_ms=300, ipv6__neigh__eth0__delay_first_probe_time=0
    )
