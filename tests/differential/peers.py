"""The three servers, each behind a guest's tap, with one address that is the guest's and a pool."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import beds
from tests.bed.netns import Netns
from tests.bed.pod import Pod
from tests.bed.tap_forwarder import LONGEST, QEMU_USER, attach
from tests.bed.wait import until
from tests.differential.request6 import DUID

_HEADER = 10
"""Octets of a virtio header."""
_POOL4, _POOL6 = ("10.16.0.100", "10.16.0.250"), ("fd00:10:16::1000", "fd00:10:16::1fff")


@dataclass(frozen=True, slots=True)
class Guest:
    """The guest's end of a tap."""

    tap: int

    def send(self, frame: bytes) -> None:
        os.write(self.tap, bytes(_HEADER) + frame)

    def receive(self, seconds: float) -> bytes | None:
        """Return the next frame that comes within so long."""
        ready, _, _ = select.select([self.tap], [], [], seconds)
        return os.read(self.tap, LONGEST)[_HEADER:] if ready else None


@contextmanager
def plugged(space: Netns) -> Iterator[Guest]:
    """Hold `tap0` of a namespace open, as QEMU does."""
    tap = space.call(lambda: attach("tap0", 0, QEMU_USER))
    try:
        until(lambda: space.query("link", "show", "dev", "tap0")[0]["operstate"] == "UP", "carrier")
        yield Guest(tap)
    finally:
        os.close(tap)


@contextmanager
def dsbridge() -> Iterator[Guest]:
    with beds.started() as (made, _, _), plugged(made.netns) as guest:
        yield guest


@contextmanager
def dnsmasq() -> Iterator[Guest]:
    with beds._behind() as made:
        ipv4, ipv6 = made.layout.ipv4[0].ip, made.layout.ipv6[0].ip
        options = [
            *beds._dnsmasq(made.layout, "pod0", made.workdir),
            f"--dhcp-host={made.layout.mac},{ipv4}",
            f"--dhcp-host=id:{DUID.hex(':')},[{ipv6}]",
        ]
        ranges = [one for one in options if not one.startswith("--dhcp-range")]
        ranges += [f"--dhcp-range={','.join(_POOL4)},255.255.0.0,1h"]
        ranges += [f"--dhcp-range={','.join(_POOL6)},112,1h", "--leasefile-ro"]
        with beds._daemon(made.gateway, made.workdir, "dnsmasq", *ranges):
            until(lambda: beds._listens(made.gateway, 67, 547), "dnsmasq")
            with plugged(made.netns) as guest:
                yield guest


@contextmanager
def kea() -> Iterator[Guest]:
    """Kea for both families, radvd for router advertisements."""
    with beds._behind() as made, ExitStack() as stack:
        for family, configuration in (("4", _kea4(made)), ("6", _kea6(made))):
            file = made.workdir / f"kea{family}.json"
            file.write_text(json.dumps({f"Dhcp{family}": configuration}))
            stack.enter_context(_daemon(made, f"kea-dhcp{family}", "-c", str(file)))
        file = made.workdir / "radvd.conf"
        file.write_text(beds._radvd(made))
        words = ("-n", "-C", str(file), "-m", "stderr", "-p", str(made.workdir / "radvd.pid"))
        stack.enter_context(_daemon(made, "radvd", *words))
        until(lambda: beds._listens(made.gateway, 67, 547), "Kea")
        yield stack.enter_context(plugged(made.netns))


def _daemon(made: Pod, *words: str) -> AbstractContextManager[object]:
    return beds._daemon(made.gateway, Path(made.workdir), *words)


def _kea4(made: Pod) -> dict[str, object]:
    found = beds._kea4(made)
    reserved = {"hw-address": made.layout.mac, "ip-address": str(made.layout.ipv4[0].ip)}
    subnet = {
        "subnet": "10.16.0.0/16",
        "pools": [{"pool": " - ".join(_POOL4)}],
        "reservations": [reserved],
    }
    return {**found, "authoritative": True, "match-client-id": False, "subnet4": [subnet]}


def _kea6(made: Pod) -> dict[str, object]:
    found = beds._kea6(made)
    reserved = {"duid": DUID.hex(":"), "ip-addresses": [str(made.layout.ipv6[0].ip)]}
    (subnet,) = found["subnet6"]  # type: ignore[misc]  # JSON
    subnet = {**subnet, "pools": [{"pool": " - ".join(_POOL6)}], "reservations": [reserved]}
    return {**found, "subnet6": [subnet]}


PEERS: dict[str, Callable[[], AbstractContextManager[Guest]]] = {
    "dsbridge": dsbridge,
    "dnsmasq": dnsmasq,
    "Kea": kea,
}
