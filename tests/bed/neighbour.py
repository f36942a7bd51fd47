"""Another pod on the same node, behind the same gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from tests.bed.netns import Netns, netns
from tests.bed.pod import Pod


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The namespace of the other pod and its addresses."""

    netns: Netns
    ipv4: IPv4Interface
    ipv6: IPv6Interface


@contextmanager
def neighbour(made: Pod) -> Iterator[Neighbour]:
    """Plug a second pod into the gateway of a pod whose CNI wires point to point."""
    layout, node = made.layout, made.gateway
    ipv4, ipv6 = layout.ipv4[0].ip + 1, layout.ipv6[0].ip + 1
    with netns("next") as other:
        found = Neighbour(other, IPv4Interface(f"{ipv4}/32"), IPv6Interface(f"{ipv6}/128"))
        node.ip(f"""
            link add pod1 mtu {layout.mtu} type veth peer name eth0 \
                mtu {layout.mtu} netns {other.name}
            {layout.gateway.replace("pod0", "pod1")}
            link set pod1 up
            route add {ipv4} dev pod1 scope link
            route add {ipv6} dev pod1""")
        if layout.proxy_arp:
            node.sysctl(
                ipv4__conf__pod1__proxy_arp=1,
                ipv6__conf__pod1__proxy_ndp=1,
                ipv4__neigh__pod1__proxy_delay=0,
            )
        other.ip(f"""
            link set eth0 up
            addr add {found.ipv4} dev eth0
            addr add {found.ipv6} dev eth0 nodad""")
        mac = other.query("link", "show", "dev", "eth0")[0]["address"]
        node.ip(f"""
            neigh add {ipv4} lladdr {mac} dev pod1
            neigh add {ipv6} lladdr {mac} dev pod1""")
        other.ip("\n".join(f"route add {route}" for route in layout.routes))
        yield found
