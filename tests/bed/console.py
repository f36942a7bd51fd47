"""A guest VM's console: commands to its shell, and what it says about its network as one value."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from tests.bed.clients.lease import Lease, finite, resolv_conf
from tests.bed.wait import until


@dataclass(frozen=True, slots=True)
class Report:
    """The guest's own view, and whether the host beyond the gateway answered it."""

    mac: str
    lease: Lease
    reached: tuple[str, ...]
    """Those of REMOTE4 and REMOTE6 that answered an echo request."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """The console of a guest that reports its network and then obeys."""

    console: Path
    """What the guest has written."""
    type: Callable[[bytes], object]
    ended: Callable[[], bool]
    """Whether the VM is no more."""

    def report(self, timeout: float = 90) -> Report:
        """Wait for the guest's report; TimeoutError or RuntimeError quote its console."""
        return parse(self.wait_for("@end", 0, timeout))

    def run(self, command: str, timeout: float = 20) -> str:
        """Run a shell command in the guest, after its report, and return its output."""
        seen = self.console.stat().st_size
        self.type(command.encode() + b"\n")
        return self.wait_for("@done", seen, timeout).rpartition("@done")[0]

    def wait_for(self, word: str, seen: int, timeout: float) -> str:
        """Return what the guest wrote after octet `seen`, up to the line of a word."""

        def said() -> str:
            text = self.console.read_bytes()[seen:].decode(errors="replace").replace("\r", "")
            if f"{word} " in text and text.endswith("\n"):
                return text
            if self.ended():
                raise RuntimeError(f"the VM ended:\n{text}")
            return ""

        try:
            return until(said, f"{word} of the VM", timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.console.read_text(errors='replace')}") from None


def parse(console: str) -> Report:
    """Turn the `@key value` lines of the guest's console into one value."""
    said: dict[str, list[str]] = {}
    for line in console.splitlines():
        if line.startswith("@"):
            key, _, value = line[1:].partition(" ")
            said.setdefault(key, []).append(value.strip())
    addresses = [line.split()[1] for line in said.get("addr", [])]
    dns, search = resolv_conf("\n".join(said.get("resolv", [])))
    leases = [seconds for key in ("lease4", "lease6") for seconds in said.get(key, []) if seconds]
    lease = Lease(
        ipv4=tuple(IPv4Interface(text) for text in addresses if ":" not in text),
        ipv6=tuple(IPv6Interface(text) for text in addresses if ":" in text),
        routes4=_routes(said.get("route4", [])),
        routes6=_routes(said.get("route6", [])),
        dns=dns,
        search=search,
        mtu=int(said.get("mtu", ["0"])[0]),
        lease_seconds=finite(leases[0]) if leases else None,
        hostname=said.get("hostname", [None])[0],
        seconds_to_ipv4=float(said.get("at4", [math.nan])[0]),
        seconds_to_ipv6=float(said.get("at6", [math.nan])[0]),
    )
    return Report(said.get("mac", [""])[0], lease, tuple(said.get("reached", [])))


def _routes(lines: list[str]) -> tuple[tuple[str, str | None], ...]:
    rows = [line.split() for line in lines if not line.startswith(("fe80:", "multicast"))]
    return tuple((row[0], row[2] if row[1:2] == ["via"] else None) for row in rows)
