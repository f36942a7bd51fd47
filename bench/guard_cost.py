"""What the guard costs bulk traffic: iperf3 through the wired bridge, with and without it.

`python -m bench.guard_cost [ROUNDS]`, as root. Rounds alternate, because the noise of a
shared machine exceeds the difference; compare medians and mind the spread beside them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from binding.ipc import codec
from binding.packet import guard
from guest.network import GuestNetwork
from tests.bed.netns import Netns, end, netns

ROOT = Path(__file__).parents[1]
GUEST = GuestNetwork(
    network="default", tap="tap0", nic="eth0-nic", bridge="k6t-eth0",
    mac="02:00:00:00:00:42", mtu=1500,
    ipv4=(IPv4Interface("10.0.0.42/24"),), ipv6=(IPv6Interface("fd00::42/64"),),
)  # fmt: skip
LOADS = {
    "TCP, IPv4 [Gb/s]": ["-c", "10.0.0.1"],
    "TCP, IPv6 [Gb/s]": ["-c", "fd00::1"],
    "UDP 64 B, IPv4 [kpps]": ["-c", "10.0.0.1", "-u", "-b", "0", "-l", "64"],
    "UDP 64 B, IPv6 [kpps]": ["-c", "fd00::1", "-u", "-b", "0", "-l", "64"],
}


def plug(pod: Netns, guest: Netns, network: Netns) -> None:
    # A veth stands for the tap: the guard hooks in at the same place, and nothing in
    # user space limits the rate.
    pod.ip(f"""
        link add k6t-eth0 type bridge mcast_snooping 0
        link add tap0 type veth peer name eth0 netns {guest.name}
        link add eth0-nic type veth peer name eth0 netns {network.name}
        link set tap0 master k6t-eth0 up
        link set eth0-nic master k6t-eth0 up
        link set k6t-eth0 up""")
    for space, host in ((guest, 42), (network, 1)):
        space.ip(f"""
            link set eth0 up
            addr add 10.0.0.{host}/24 dev eth0
            addr add fd00::{host}/64 dev eth0 nodad""")


def set_guard(pod: Netns, *guests: GuestNetwork) -> None:
    subprocess.run(
        pod.command(sys.executable, "-m", "binding.plumb", "guard"),
        input=codec.encode(guard.Table("dsbridge", guard.filters(guests))),
        text=True,
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def rate(guest: Netns, load: list[str]) -> float:
    result = json.loads(guest.run("iperf3", "--json", "--time", "2", *load))["end"]
    if "-u" in load:
        received = result["sum"]["packets"] - result["sum"]["lost_packets"]
        return received / result["sum"]["seconds"] / 1e3
    return result["sum_received"]["bits_per_second"] / 1e9


def main(rounds: int = 5) -> None:
    with netns("pod") as pod, netns("guest") as guest, netns("net") as network:
        plug(pod, guest, network)
        server = network.popen("iperf3", "--server", stdout=subprocess.DEVNULL)
        try:
            time.sleep(1)
            for name, load in LOADS.items():
                rates: dict[str, list[float]] = {"without": [], "with guard": []}
                for _ in range(rounds):
                    set_guard(pod)
                    rates["without"].append(rate(guest, load))
                    set_guard(pod, GUEST)
                    rates["with guard"].append(rate(guest, load))
                shown = "   ".join(
                    f"{label} {statistics.median(seen):6.1f} ({min(seen):.1f}-{max(seen):.1f})"
                    for label, seen in rates.items()
                )
                print(f"{name:24}{shown}", flush=True)
        finally:
            end(server)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
