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
    connected: bool = True
    """The kernel's routes to the subnets of the pod's addresses are left in place."""
    permanent: bool = False
    """The pod knows its gateways by permanent neighbour entries with `gateway_mac`."""
    only_pod_mac: bool = False
    """The node forwards nothing that another MAC than the pod's sends."""

    @property
    def gateway4(self) -> str:
        """The IPv4 gateway."""
        return next(r.split()[2] for r in self.routes if r.startswith("default via") and "." in r)

    @property
    def told4(self) -> tuple[IPv4Interface, ...]:
        """What a guest is leased: a host address where its neighbours are behind the gateway."""
        return self.ipv4 if self.connected else tuple(IPv4Interface(a.ip) for a in self.ipv4)

    @property
    def on_link6(self) -> set[str]:
        """The IPv6 prefixes that are on-link for a guest."""
        networks = (address.network for address in self.ipv6 if self.connected)
        return {str(network) for network in networks if network.prefixlen < 128}


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
    only_pod_mac=True,
)

_AWS = Layout(
    # AWS VPC CNI: the pod has its gateways as permanent neighbours, and nobody answers for them
    name="aws-vpc-cni",
    mtu=9001,
    mac="7a:3d:0c:41:90:05",
    ipv4=(IPv4Interface("192.168.61.5/32"),),
    ipv6=(IPv6Interface("2001:db8:61::5/128"),),
    routes=(
        "169.254.1.1 dev eth0 scope link",
        "default via 169.254.1.1 dev eth0",
        "fe80::1 dev eth0",
        "default via fe80::1 dev eth0",
    ),
    gateway="link set pod0 address c6:11:5e:9a:00:61",
    gateway_routes="""route add 192.168.61.5 dev pod0 scope link
        route add 2001:db8:61::5 dev pod0""",
    router="fe80::1",
    gateway_mac="c6:11:5e:9a:00:61",
    permanent=True,
)

_AZURE = Layout(
    # Azure CNI, transparent mode: a subnet's address without its route, proxy ARP, and a permanent
    # entry; nobody answers for the IPv6 gateway
    name="azure",
    mtu=1500,
    mac="8e:14:6b:2f:00:09",
    ipv4=(IPv4Interface("10.240.0.9/16"),),
    ipv6=(IPv6Interface("fd00:10:240::9/64"),),
    routes=(
        "169.254.1.1 dev eth0 scope link",
        "default via 169.254.1.1 dev eth0",
        "fe80::1234:5678:9abc dev eth0",
        "default via fe80::1234:5678:9abc dev eth0",
    ),
    gateway="link set pod0 address aa:aa:aa:aa:aa:09",
    gateway_routes="""route add 10.240.0.9 dev pod0 scope link
        route add fd00:10:240::9 dev pod0""",
    router="fe80::1234:5678:9abc",
    gateway_mac="aa:aa:aa:aa:aa:09",
    proxy_arp=True,
    connected=False,
    permanent=True,
)

_ANTREA = Layout(
    # Antrea: the node's antrea-gw0 in the pods' subnet; Open vSwitch drops what is not of the pod
    name="antrea",
    mtu=1450,
    mac="ca:5d:2e:7f:01:07",
    ipv4=(IPv4Interface("10.10.1.7/24"),),
    ipv6=(IPv6Interface("fd00:10:10:1::7/64"),),
    routes=("default via 10.10.1.1", "default via fd00:10:10:1::1"),
    gateway="""link add antrea-gw0 address 3e:0a:6d:55:01:01 mtu 1450 type bridge
        link set antrea-gw0 up
        link set pod0 master antrea-gw0
        addr add 10.10.1.1/24 dev antrea-gw0
        addr add fd00:10:10:1::1/64 dev antrea-gw0 nodad""",
    router="fe80::3c0a:6dff:fe55:101",
    gateway_mac="3e:0a:6d:55:01:01",
    only_pod_mac=True,
)

_GKE = Layout(
    # GKE, kindnet and other heirs of the ptp plugin: the subnet is reached through the gateway
    name="gke-ptp",
    mtu=1460,
    mac="e6:70:1b:84:00:12",
    ipv4=(IPv4Interface("10.4.0.18/24"),),
    ipv6=(IPv6Interface("fd00:10:4::12/112"),),
    routes=(
        "10.4.0.1 dev eth0 scope link src 10.4.0.18",
        "10.4.0.0/24 via 10.4.0.1 dev eth0 src 10.4.0.18",
        "default via 10.4.0.1 dev eth0",
        "fd00:10:4::1 dev eth0",
        "fd00:10:4::/112 via fd00:10:4::1 dev eth0",
        "default via fd00:10:4::1 dev eth0",
    ),
    gateway="""link set pod0 address 1e:05:a1:73:00:01
        addr add 10.4.0.1/32 dev pod0
        addr add fd00:10:4::1/128 dev pod0 nodad""",
    gateway_routes="""route add 10.4.0.18 dev pod0 scope link
        route add fd00:10:4::12 dev pod0""",
    router="fe80::1c05:a1ff:fe73:1",
    gateway_mac="1e:05:a1:73:00:01",
    connected=False,
)

# Cilium's netkit of layer 2 leaves the pod what its veth does, but for the link's kind: `cilium`.
_ALL = (_FLAT, _CALICO, _KUBE_OVN, _CILIUM, _AWS, _AZURE, _ANTREA, _GKE)
LAYOUTS = {layout.name: layout for layout in _ALL}
