"""`make transcripts`: docs/transcripts.md, written anew by the commands themselves.

A healthy VM and three broken ones, each in a bed; `kubectl dsbridge` runs what is run here by
`kubectl exec` in the pod.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bed.clients import client
from tests.bed.diagnosis import run, until_diagnosed, until_logged, until_well
from tests.bed.guest_frames import dhcp4, send
from tests.bed.guests import Started, started
from tests.bed.sidecar import ROOT
from tests.dhcp import v4_wire

PAGE = ROOT / "docs/transcripts.md"
OTHER = "02:00:00:00:00:99"
VM = "vmi-single"


def shown(vm: Started, command: str) -> str:
    """Return a console with one command, what it printed and its exit status."""
    done = run(vm.pod.netns, vm.sidecar.hooks_dir, command)
    said = done.stdout.rstrip("\n")
    return (
        f"```console\n$ kubectl dsbridge {command} {VM}\n{said}\n$ echo $?\n"
        f"{done.returncode}\n```\n"
    )


def logged(vm: Started, text: str) -> str:
    """Return the first line of the log with this text."""
    until_logged(vm, text)
    line = next(line for line in vm.sidecar.log.splitlines() if text in line)
    return f"The log said at once:\n\n```json\n{line}\n```\n"


@contextmanager
def leased() -> Iterator[Started]:
    """A guest that has its leases."""
    with (
        tempfile.TemporaryDirectory() as state,
        started("flat", "managed") as vm,
        client("networkd", vm.guest, Path(state)) as guest,
    ):
        guest.lease(30)
        until_well(vm)
        yield vm


def healthy() -> str:
    with leased() as vm:
        time.sleep(2)  # the last exchange is reported
        return f"## A healthy VM\n\n{shown(vm, 'status')}\n{shown(vm, 'diagnose')}"


def static() -> str:
    with started("flat", "managed") as vm:
        vm.guest.sysctl(ipv6__conf__eth0__disable_ipv6=1)
        vm.guest.ip("link set eth0 up\naddr add 10.244.1.7/24 dev eth0")
        ping = vm.guest.popen("busybox", "ping", "10.244.1.1", stdout=subprocess.DEVNULL)
        try:
            until_diagnosed(vm, "static-address")
            console = shown(vm, "diagnose")
        finally:
            ping.terminate()
            ping.wait()
    about = "Its network configuration was made on another network."
    return f"## A guest with a static address\n\n{about}\n\n{console}"


def other_mac() -> str:
    with started("flat", "managed") as vm:
        vm.guest.ip(f"link set eth0 down\nlink set eth0 address {OTHER} up")
        send(vm, dhcp4(vm, v4_wire.DISCOVER, sender=OTHER))
        until_diagnosed(vm, "other-mac")
        console, line = shown(vm, "diagnose"), logged(vm, "a request comes from another MAC")
    about = "A bond in the guest brought its own."
    return f"## A guest whose NIC has another MAC\n\n{about}\n\n{console}\n{line}"


def link_down() -> str:
    with leased() as vm:
        vm.pod.netns.ip("link set eth0-nic down")
        until_diagnosed(vm, "link-down")
        console, line = shown(vm, "diagnose"), logged(vm, "pod NIC eth0-nic is down")
    return f"## A link that somebody took down\n\n{console}\n{line}"


def main() -> None:
    """Write the page."""
    head = (
        "# Transcripts\n\nOf a healthy VM and of three broken ones, as the commands printed them "
        "(`make transcripts`).\n"
    )
    PAGE.write_text(f"{head}\n{healthy()}\n{static()}\n{other_mac()}\n{link_down()}")


if __name__ == "__main__":
    main()
