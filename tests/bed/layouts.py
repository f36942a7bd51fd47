"""What different CNIs make of a pod's link and of the gateway behind it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface


@dataclass(frozen=True, slots=True)
class Layout:
    """One CNI's habits. Routes and scripts are in iproute2's own language."""

    name: str
    mtu: int
    mac: str
    ipv4: tuple[IPv4Interface, ...]
    ipv6: tuple[IPv6Interface, ...]
    routes: tuple[str, ...]
    """Of the pod, in the order they must be added."""
    gateway: str
    """What makes the node's side of the veth, `pod0`, a gateway, before it is up."""
    gateway_routes: str = ""
    """What can only be said once `pod0` is up."""
    router: str = ""
    """Link-local address that the guest should use; empty: none answers, one must be invented."""
    gateway_mac: str = ""
    proxy_arp: bool = False


_FLAT = Layout(
    # bridge CNI, flannel, kindnet: one subnet per node, the node's bridge is the gateway
    name="flat",
    mtu=1450,
    mac="0a:58:0a:f4:01:05",
    ipv4=(IPv4Interface("10.244.1.5/24"),),
    ipv6=(IPv6Interface("fd00:10:244:1::5/64"),),
    routes=("default via 10.244.1.1", "default via fd00:10:244:1::1"),
    gateway="""link add cni0 address 0a:58:0a:f4:01:01 mtu 1450 type bridge
        link set cni0 up
        link set pod0 master cni0
        addr add 10.244.1.1/24 dev cni0
        addr add fd00:10:244:1::1/64 dev cni0 nodad""",
    router="fe80::858:aff:fef4:101",
    gateway_mac="0a:58:0a:f4:01:01",
)

_CALICO = Layout(
    # point to point: nothing is on-link, every node has the same gateway addresses and MAC
    name="calico",
    mtu=1480,
    mac="9e:4b:3f:62:07:05",
    ipv4=(IPv4Interface("192.168.7.5/32"),),
    ipv6=(IPv6Interface("fd00:192:168:7::5/128"),),
    routes=(
        "169.254.1.1 dev eth0 scope link",
        "default via 169.254.1.1 dev eth0",
        "default via fe80::ecee:eeff:feee:eeee dev eth0",
    ),
    gateway="link set pod0 address ee:ee:ee:ee:ee:ee",
    gateway_routes="""route add 192.168.7.5 dev pod0 scope link
        route add fd00:192:168:7::5 dev pod0""",
    router="fe80::ecee:eeff:feee:eeee",
    gateway_mac="ee:ee:ee:ee:ee:ee",
    proxy_arp=True,
)

_KUBE_OVN = Layout(
    # overlay subnet with a logical router that also answers for the EUI-64 of its MAC
    name="kube-ovn",
    mtu=1400,
    mac="00:00:00:7d:1c:07",
    ipv4=(IPv4Interface("10.16.0.7/16"),),
    ipv6=(IPv6Interface("fd00:10:16::7/112"),),
    routes=("default via 10.16.0.1", "default via fd00:10:16::1"),
    gateway="""link set pod0 address 00:00:00:2a:6b:01
        addr add 10.16.0.1/16 dev pod0
        addr add fd00:10:16::1/112 dev pod0 nodad""",
    router="fe80::200:ff:fe2a:6b01",
    gateway_mac="00:00:00:2a:6b:01",
)

_CILIUM = Layout(
    # the datapath answers for its global router address only, and knows the pod's MAC
    name="cilium",
    mtu=1420,
    mac="5e:c1:11:40:17:17",
    ipv4=(IPv4Interface("10.0.1.23/32"),),
    ipv6=(IPv6Interface("fd00:10:0:1::17/128"),),
    routes=(
        "10.0.1.170 dev eth0 scope link",
        "default via 10.0.1.170 dev eth0",
        "fd00:10:0:1::aa dev eth0",
        "default via fd00:10:0:1::aa dev eth0",
    ),
    gateway="""link set pod0 address 5e:c1:11:40:00:aa addrgenmode none
        addr add 10.0.1.170/32 dev pod0
        addr add fd00:10:0:1::aa/128 dev pod0 nodad""",
    gateway_routes="""route add 10.0.1.23 dev pod0 scope link
        route add fd00:10:0:1::17 dev pod0
        neigh add 10.0.1.23 lladdr 5e:c1:11:40:17:17 dev pod0
        neigh add fd00:10:0:1::17 lladdr 5e:c1:11:40:17:17 dev pod0""",
    gateway_mac="5e:c1:11:40:00:aa",
)

LAYOUTS = {layout.name: layout for layout in (_FLAT, _CALICO, _KUBE_OVN, _CILIUM)}
