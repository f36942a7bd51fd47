"""dnsmasq as any DHCP server and router that is not dsbridge: a rogue, or KubeVirt's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bed.netns import Netns, end
from tests.bed.wait import until


@dataclass(frozen=True, slots=True)
class Dnsmasq:
    """A running server."""

    log_file: Path

    @property
    def log(self) -> str:
        """What it heard and sent: DHCPDISCOVER(k6t-eth0) …"""
        return self.log_file.read_text(errors="replace")


@contextmanager
def dnsmasq(space: Netns, link: str, workdir: Path, *options: str) -> Iterator[Dnsmasq]:
    """Run it on one link of a namespace, without DNS; `options` are dnsmasq's own."""
    workdir.mkdir(parents=True, exist_ok=True)
    server = Dnsmasq(workdir / "dnsmasq.log")
    server.log_file.touch()
    process = space.popen(
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"),
        *("--pid-file=", f"--log-facility={server.log_file}", "--log-dhcp", "--no-ping"),
        *(f"--interface={link}", "--dhcp-authoritative", f"--dhcp-leasefile={workdir}/leases"),
        *options,
    )
    try:
        until(lambda: process.poll() is not None or "DHCP, " in server.log, "dnsmasq")
        if process.poll() is not None:
            raise RuntimeError(f"dnsmasq on {link}: {server.log}")
        yield server
    finally:
        end(process)
