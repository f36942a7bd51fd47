"""A pod's link as CNIs make it, and `python -m binding.plumb` in its namespace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bed.netns import Netns, netns

ROOT = Path(__file__).parents[2]
MAC = "02:00:00:00:00:42"
UNPRIVILEGED = (
    *("setpriv", "--reuid", "107", "--regid", "107", "--clear-groups", "--no-new-privs"),
    *("--bounding-set", "-all", "--inh-caps", "-all"),
)
# What admission grants: one capability and the device.
NET_ADMIN_ONLY = (
    *("unshare", "-m", "sh", "-ec"),
    'mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 200; exec "$@"',
    *("sh", "setpriv", "--reuid", "107", "--regid", "107", "--clear-groups", "--no-new-privs"),
    *("--inh-caps", "-all,+net_admin", "--ambient-caps", "-all,+net_admin"),
    *("--bounding-set", "-all,+net_admin"),
)


def plumb(
    space: Netns, *arguments: str, prefix: tuple[str, ...] = (), stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-W", "error", "-m", "binding.plumb", *arguments)
    return subprocess.run(
        space.command(*prefix, *command),
        input=stdin,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def link(space: Netns, name: str):
    return space.query("-d", "link", "show", "dev", name)[0]


@contextmanager
def veth() -> Iterator[tuple[Netns, Netns]]:
    """Yield the pod with eth0 (up, no addresses) and the namespace of its peer `peer0`."""
    with netns("pod") as inside, netns("peer") as outside:
        inside.ip(f"""
            link add eth0 mtu 1450 address {MAC} type veth peer name peer0 netns {outside.name}
            link set eth0 up""")
        outside.ip("link set peer0 mtu 1450 up")
        yield inside, outside


# One subnet per family, the gateway in it: flannel, Kube-OVN.
FLAT = """
    addr add 10.0.0.42/24 dev eth0
    addr add fd00::42/64 dev eth0 nodad
    route add default via 10.0.0.1
    route add default via fd00::1"""
CALICO = """
    addr add 10.0.0.42/32 dev eth0
    addr add fd00::42/128 dev eth0 nodad
    route add 169.254.1.1 dev eth0 scope link
    route add default via 169.254.1.1 dev eth0
    route add fe80::ecee:eeff:feee:eeee dev eth0
    route add default via fe80::ecee:eeff:feee:eeee dev eth0"""
# The ptp plugin of old: the kernel's connected route is deleted.
PTP = """
    addr add 10.0.0.42/24 dev eth0
    addr add fd00::42/64 dev eth0 nodad
    route del 10.0.0.0/24 dev eth0
    route del fd00::/64 dev eth0
    route add 10.0.0.1 dev eth0 scope link
    route add 10.0.0.0/24 via 10.0.0.1 dev eth0
    route add default via 10.0.0.1
    route add fd00::1 dev eth0
    route add default via fd00::1 dev eth0"""
# Its successor: the subnet is reached through the gateway, not on the link.
KINDNET = """
    addr add 10.0.0.42/24 dev eth0 noprefixroute
    addr add fd00::42/64 dev eth0 nodad noprefixroute
    route add 10.0.0.1 dev eth0 src 10.0.0.42 scope link
    route add 10.0.0.0/24 via 10.0.0.1 dev eth0 src 10.0.0.42
    route add default via 10.0.0.1 dev eth0
    route add fd00::1 dev eth0
    route add fd00::/64 via fd00::1 dev eth0
    route add default via fd00::1 dev eth0"""
