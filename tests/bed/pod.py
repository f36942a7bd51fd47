"""A pod as its CNI would leave it, with a gateway that routes and a host beyond it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from tests.bed.layouts import LAYOUTS, Layout
from tests.bed.netns import Netns, netns
from tests.bed.wait import until

REMOTE4 = IPv4Address("192.0.2.10")
REMOTE6 = IPv6Address("2001:db8:2::10")
NAMESERVERS = (ip_address("10.96.0.10"), ip_address("fd00:10:96::a"))
SEARCH = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")
ONLY_MAC = """add table netdev cni
add chain netdev cni pod0 {{ type filter hook ingress device pod0 priority 0; }}
add rule netdev cni pod0 ether saddr != {mac} drop"""
BLUE = "pod16477688c0e"
"""Pod link of the secondary network `blue`."""
BARE = Layout(
    name="bare",
    mtu=1450,
    mac="02:00:00:00:00:42",
    ipv4=(),
    ipv6=(),
    routes=(),
    gateway="",
)
"""A CNI that gives a pod link without addresses, for tests that add their own."""


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod's namespace and the two behind it."""

    layout: Layout
    netns: Netns
    gateway: Netns
    """The node: routes between `pod0`, the pod's veth peer, and `uplink`."""
    remote: Netns
    """A host beyond the gateway that answers ping on REMOTE4 and REMOTE6."""
    workdir: Path
    resolv_conf: Path


@contextmanager
def pod(layout: str | Layout, *, blue: bool = False, dad: bool = True) -> Iterator[Pod]:
    """Make a pod of one of LAYOUTS; `blue` adds a secondary NIC without a default route.

    Duplicate address detection on eth0 takes two seconds, for which nothing here waits; without
    `dad` its link-local address can be used at once.
    """
    layout = layout if isinstance(layout, Layout) else LAYOUTS[layout]
    with ExitStack() as stack:
        workdir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dsbridge-")))
        workdir.chmod(0o755)
        spaces = [stack.enter_context(netns(label)) for label in ("rem", "gw", "pod")]
        made = Pod(layout, spaces[2], spaces[1], spaces[0], workdir, workdir / "resolv")
        made.resolv_conf.write_text(
            f"search {' '.join(SEARCH)}\n"
            + "".join(f"nameserver {address}\n" for address in NAMESERVERS)
            + "options ndots:5\n"
        )
        _beyond(made)
        _plug(made, dad=dad)
        if blue:
            plug_blue(made)
        yield made


def _beyond(made: Pod) -> None:
    for space in (made.gateway, made.remote):
        # Addresses of the world are there from the start, not a second later.
        space.sysctl(ipv6__conf__default__accept_dad=0)
    made.gateway.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
    made.gateway.ip(f"""
        link add uplink type veth peer name eth0 netns {made.remote.name}
        link set uplink up
        addr add 192.0.2.1/24 dev uplink
        addr add 2001:db8:2::1/64 dev uplink nodad
        route add default dev uplink""")
    made.remote.ip(f"""
        link set eth0 up
        addr add {REMOTE4}/24 dev eth0
        addr add {REMOTE6}/64 dev eth0 nodad
        route add default via 192.0.2.1
        route add default via 2001:db8:2::1""")


def _plug(made: Pod, *, dad: bool) -> None:
    layout = made.layout
    made.gateway.ip(f"""
        link add pod0 mtu {layout.mtu} type veth peer name eth0 address {layout.mac} \
            mtu {layout.mtu} netns {made.netns.name}
        {layout.gateway}
        link set pod0 up""")
    made.gateway.ip(layout.gateway_routes)
    if layout.proxy_arp:
        made.gateway.sysctl(
            ipv4__conf__pod0__proxy_arp=1,
            ipv6__conf__pod0__proxy_ndp=1,
            ipv4__neigh__pod0__proxy_delay=0,
        )
    if layout.only_pod_mac:
        made.gateway.run("nft", ONLY_MAC.format(mac=layout.mac))
    if not dad:
        made.netns.sysctl(ipv6__conf__eth0__accept_dad=0)
    made.netns.ip("link set eth0 up")
    # The kernel makes it a moment after both ends are up.
    until(
        lambda: "fe80:" in str(made.netns.query("addr", "show", "dev", "eth0")),
        "eth0's link-local address",
    )
    how = "" if layout.connected else "noprefixroute"
    made.netns.ip("\n".join(f"addr add {address} dev eth0 {how}" for address in layout.ipv4))
    made.netns.ip("\n".join(f"addr add {address} dev eth0 nodad {how}" for address in layout.ipv6))
    made.netns.ip("\n".join(f"route add {route}" for route in layout.routes))
    if layout.permanent:
        found = {
            words[words.index("via") + 1]
            for words in map(str.split, layout.routes)
            if "via" in words
        }
        made.netns.ip(
            "\n".join(
                f"neigh add {gateway} lladdr {layout.gateway_mac} dev eth0 nud permanent"
                for gateway in sorted(found)
            )
        )


def plug_blue(made: Pod) -> None:
    """Do what a CNI does to add the secondary network `blue`, which has no default route."""
    made.gateway.ip(f"""
        link add blue0 address 0a:58:0a:64:00:01 type veth peer name {BLUE} \
            address 0a:58:0a:64:00:05 netns {made.netns.name}
        link set blue0 up
        addr add 10.100.0.1/24 dev blue0
        addr add fd00:10:100::1/64 dev blue0 nodad""")
    made.netns.ip(f"""
        link set {BLUE} up
        addr add 10.100.0.5/24 dev {BLUE}
        addr add fd00:10:100::5/64 dev {BLUE} nodad
        route add 10.101.0.0/16 via 10.100.0.1
        route add fd00:10:101::/64 via fd00:10:100::1""")
