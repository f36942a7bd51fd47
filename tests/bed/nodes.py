"""Two nodes and a VM that moves from a pod of the one to a pod of the other, as KubeVirt does it.

Both nodes reach the same host beyond them, which sends what is for the guest to the node that has
it: what a CNI does once it notices where the guest runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bed.cable import Migration, migrating
from tests.bed.handler import managed_tap
from tests.bed.launcher import Hook, collect, phase2
from tests.bed.layouts import Layout
from tests.bed.netns import Netns
from tests.bed.pod import REMOTE4, REMOTE6, Pod, pod
from tests.bed.sidecar import Sidecar, explained, sidecar
from tests.samples import MANAGED_DOMAIN, vmi_json


@dataclass(frozen=True, slots=True)
class Launched:
    """The sidecar of one of the two pods, and virt-launcher's way to call it."""

    pod: Pod
    sidecar: Sidecar
    hook: Hook


@contextmanager
def two_nodes(before: Layout, after: Layout) -> Iterator[tuple[Pod, Pod]]:
    """Make a pod on each node; traffic for addresses of `before` goes to the first."""
    with pod(before) as source, pod(after) as target:
        remote, node = source.remote, target.gateway
        node.ip("link del uplink")
        node.ip(f"""
            link add uplink type veth peer name eth1 netns {remote.name}
            link set uplink up
            addr add 192.0.3.1/24 dev uplink
            addr add 2001:db8:3::1/64 dev uplink nodad""")
        remote.ip("""
            link set eth1 up
            addr add 192.0.3.10/24 dev eth1
            addr add 2001:db8:3::10/64 dev eth1 nodad""")
        node.ip(f"""
            route add {REMOTE4} via 192.0.3.10
            route add {REMOTE6} via 2001:db8:3::10""")
        if before.ipv4 != after.ipv4:
            lead_to_target(source, target)
        yield source, target


def lead_to_target(source: Pod, target: Pod) -> None:
    """Send what is for the target's addresses to its node."""
    source.remote.ip(
        "\n".join(f"route replace {one.ip} via 192.0.3.1" for one in target.layout.ipv4)
    )
    source.remote.ip(
        "\n".join(f"route replace {one.ip} via 2001:db8:3::1" for one in target.layout.ipv6)
    )


@contextmanager
def launched(
    made: Pod, *, mac: str, arriving: bool = False, **settings: object
) -> Iterator[Launched]:
    """Start a sidecar in a pod of virt-handler's wiring, up to the point where QEMU starts.

    `settings` are of the VMI's annotation.
    """
    with (
        sidecar(made) as running,
        explained(running),
        collect(running.hooks_dir) as hook,
    ):
        managed_tap(made.netns)
        found = Launched(made, running, hook)
        define(found, mac=mac, arriving=arriving, **settings)
        yield found


def define(one: Launched, *, mac: str, arriving: bool = False, **settings: object) -> None:
    """Call OnDefineDomain as virt-launcher does, on the target where the guest is `arriving`."""
    domain = phase2(MANAGED_DOMAIN, mac=mac, mtu=one.pod.layout.mtu)
    annotations = {"dsbridge.io/default": settings} if settings else None
    one.hook.define(domain, vmi_json(annotations, arriving=arriving, mac=mac))


@contextmanager
def guest_of(made: Pod, mac: str) -> Iterator[tuple[Netns, Migration]]:
    """Start the guest in the source's pod; its eth0 is down."""
    with migrating(made.netns, mac=mac, mtu=made.layout.mtu) as found:
        yield found
