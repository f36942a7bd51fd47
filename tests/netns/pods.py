"""A pod's network namespace and its peer, as small as the netlink tests need them."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MAC = "02:00:00:00:00:42"
PEER_MAC = "02:00:00:00:00:01"
UNPRIVILEGED = (
    *("setpriv", "--reuid", "107", "--regid", "107", "--clear-groups", "--no-new-privs"),
    *("--bounding-set", "-all", "--inh-caps", "-all"),
)
_serial = itertools.count()


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "text": True, "timeout": 30} | options
    return subprocess.run(command, check=options.pop("check", True), **options)


class Namespace:
    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def enter(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)

    @property
    def inode(self) -> int:
        return Path("/run/netns", self.name).stat().st_ino

    def exec(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return run(*self.enter, *command, **options)

    def ip(self, command: str) -> None:
        run("ip", "-n", self.name, *command.split())

    def show(self, command: str) -> list[dict[str, Any]]:
        return json.loads(run("ip", "-n", self.name, "-j", "-d", *command.split()).stdout or "[]")

    def link(self, name: str) -> dict[str, Any]:
        return self.show(f"link show dev {name}")[0]

    def names(self) -> set[str]:
        return {link["ifname"] for link in self.show("link show")}

    def index(self, name: str) -> int:
        return self.link(name)["ifindex"]

    def plumb(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        prefix = options.pop("prefix", ())
        return self.exec(
            *prefix,
            sys.executable,
            "-W",
            "error",
            "-m",
            "binding.plumb",
            *arguments,
            **{"cwd": ROOT, "check": False} | options,
        )


@contextmanager
def namespace() -> Iterator[Namespace]:
    name = f"plumb-{os.getpid()}-{next(_serial)}"
    run("ip", "netns", "add", name)
    try:
        space = Namespace(name)
        space.ip("link set lo up")
        yield space
    finally:
        run("ip", "netns", "del", name)


@contextmanager
def pod(mtu: int = 1450) -> Iterator[tuple[Namespace, Namespace]]:
    """Yield the pod with eth0 (up, no addresses) and the namespace of its peer `peer0`."""
    with namespace() as inside, namespace() as outside:
        inside.ip(
            f"link add eth0 mtu {mtu} address {MAC} type veth "
            f"peer name peer0 netns {outside.name} mtu {mtu} address {PEER_MAC}"
        )
        outside.ip("link set peer0 up")
        inside.ip("link set eth0 up")
        yield inside, outside


def flat(inside: Namespace) -> None:
    """One subnet per family, the gateway in it: flannel, Kube-OVN."""
    inside.ip("addr add 10.0.0.42/24 dev eth0")
    inside.ip("addr add fd00::42/64 dev eth0 nodad")
    inside.ip("route add default via 10.0.0.1")
    inside.ip("route add default via fd00::1")


def calico(inside: Namespace) -> None:
    inside.ip("addr add 10.0.0.42/32 dev eth0")
    inside.ip("addr add fd00::42/128 dev eth0 nodad")
    inside.ip("route add 169.254.1.1 dev eth0 scope link")
    inside.ip("route add default via 169.254.1.1 dev eth0")
    inside.ip("route add fe80::ecee:eeff:feee:eeee dev eth0")
    inside.ip("route add default via fe80::ecee:eeff:feee:eeee dev eth0")


def kindnet(inside: Namespace) -> None:
    """CNI's ptp plugin: the subnet is reached through the gateway, not on the link."""
    inside.ip("addr add 10.0.0.42/24 dev eth0 noprefixroute")
    inside.ip("addr add fd00::42/64 dev eth0 nodad noprefixroute")
    inside.ip("route add 10.0.0.1 dev eth0 src 10.0.0.42 scope link")
    inside.ip("route add 10.0.0.0/24 via 10.0.0.1 dev eth0 src 10.0.0.42")
    inside.ip("route add default via 10.0.0.1 dev eth0")
    inside.ip("route add fd00::1 dev eth0")
    inside.ip("route add fd00::/64 via fd00::1 dev eth0")
    inside.ip("route add default via fd00::1 dev eth0")
