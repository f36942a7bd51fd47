"""`python -m binding.plumb` in a pod's namespace, as plumb's parent would run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from binding.ipc import codec
from binding.ipc.wiring import Wiring
from binding.packet import link_names
from tests.bed.layouts import LAYOUTS, Layout
from tests.bed.netns import Netns

ROOT = Path(__file__).parents[2]
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
WITHOUT_TUN = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh")
ETH0 = link_names.names_of("eth0", primary=True)


def wiring(layout: Layout, queues: int = 1) -> Wiring:
    """Return how the eth0 of a pod with this layout is wired."""
    return Wiring(ETH0, layout.mac, layout.mtu, (*layout.ipv4, *layout.ipv6), queues)


PRIMARY = wiring(LAYOUTS["flat"])


def plumb(
    space: Netns, *arguments: str, prefix: tuple[str, ...] = (), stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; `prefix` is a command that takes privileges away."""
    command = (sys.executable, "-W", "error", "-m", "binding.plumb", *arguments)
    return subprocess.run(
        space.command(*prefix, *command),
        input=stdin,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def wire(space: Netns, *wirings: Wiring, prefix: tuple[str, ...] = ()) -> dict[str, object]:
    """Wire links, the eth0 of a flat pod unless told, and return plumb's answer."""
    done = plumb(space, "wire", stdin=codec.encode(wirings or (PRIMARY,)), prefix=prefix)
    answer = json.loads(done.stdout)
    assert (done.returncode == 0) is ("wired" in answer), done
    return answer
