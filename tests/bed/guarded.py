"""A wired pod with its guard, and packet sockets on both sides of it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv6Interface

from binding.ipc import codec
from binding.ipc.wiring import Wiring
from binding.packet import guard, link_names
from guest.network import GuestNetwork
from tests.bed.cable import cable
from tests.bed.netns import Netns
from tests.bed.packet_sockets import carried, packet_socket
from tests.bed.plumb import plumb
from tests.bed.pod import BARE, pod
from tests.bed.wait import until

MAC = BARE.mac
GUEST = GuestNetwork(
    network="default", tap="tap0", nic="eth0-nic", bridge="k6t-eth0", mac=MAC, mtu=1450,
    ipv4=(IPv4Interface("10.0.0.42/24"),), ipv6=(IPv6Interface("fd00::42/64"),),
)  # fmt: skip
JUMBO = 9000
"""MTU of the bed, in bytes."""
KUBE_OVN = replace(GUEST, provider="kube-ovn")


@dataclass(frozen=True)
class Bed:
    pod: Netns
    guest: socket.socket
    tap: socket.socket
    network: socket.socket
    mtu: int

    def fitting(self, frames: dict[str, bytes]) -> dict[str, bytes]:
        """Return the frames that the links of this bed carry."""
        return {name: frame for name, frame in frames.items() if len(frame) <= self.mtu + 14}

    def guard(self, *guests: GuestNetwork) -> dict[str, object]:
        return self.install(guard.filters(guests))

    def install(
        self, filters: tuple[guard.Filter, ...], name="dsbridge", prefix=()
    ) -> dict[str, object]:
        table = codec.encode(guard.GuardTable(name, filters))
        done = plumb(self.pod, "guard", stdin=table, prefix=prefix)
        answer = json.loads(done.stdout)
        assert (done.returncode == 0) is ("places" in answer), done
        return answer

    def out(self, frames: dict[str, bytes]) -> set[str]:
        """Send from the guest what fits; return what reaches the pod network."""
        return carried(self.guest, self.network, self.fitting(frames))

    def into(self, frames: dict[str, bytes]) -> set[str]:
        """Send from the pod network what fits; return what reaches the guest."""
        return carried(self.network, self.guest, self.fitting(frames))

    def forwards(self) -> bool:
        """Say whether the ports are forwarding yet, both ways."""
        try:
            return not self.out({}) and not self.into({})
        except TimeoutError:
            return False

    def without_guard(self) -> Bed:
        """Return it with no guard in force, and no frame that is on its way."""
        self.guard()
        for one in (self.guest, self.tap, self.network):
            one.settimeout(0)
            try:
                while one.recv(65_536):
                    pass
            except BlockingIOError:
                one.settimeout(3)
        return self

    def rules(self) -> str:
        return self.pod.run("nft", "list", "ruleset")


@contextmanager
def wired(mtu: int = JUMBO) -> Iterator[Bed]:
    """Yield a pod in the `own` shape, without a guard yet."""
    with ExitStack() as stack:
        made = stack.enter_context(pod(BARE))
        inside, outside = made.netns, made.gateway
        inside.ip("addr add 10.0.0.42/24 dev eth0\naddr add fd00::42/64 dev eth0 nodad")
        inside.ip(f"link set eth0 mtu {mtu}")
        outside.ip(f"link set pod0 mtu {mtu}")
        # Hosts with br_netfilter would reassemble, and hold back, the fragments sent here.
        inside.run("sh", "-c", "echo 0 | tee /proc/sys/net/bridge/*", check=False)
        wiring = Wiring(link_names.names_of("eth0", primary=True), MAC, mtu)
        assert plumb(inside, "wire", stdin=codec.encode((wiring,))).returncode == 0
        guest = stack.enter_context(cable(inside, mac=MAC, mtu=mtu))
        guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)
        guest.ip("link set eth0 up")
        sockets = (
            stack.enter_context(packet_socket(space, link))
            for space, link in ((guest, "eth0"), (inside, "tap0"), (outside, "pod0"))
        )
        bed = Bed(inside, *sockets, mtu)
        until(bed.forwards, "the bridge forwards")
        yield bed
