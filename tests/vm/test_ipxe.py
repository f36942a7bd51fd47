"""iPXE, the network boot loader, gets an address of each family and learns what to boot."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv6Interface
from pathlib import Path

import pytest

from tests.bed.launcher import collect
from tests.bed.layouts import LAYOUTS
from tests.bed.netns import end
from tests.bed.pod import Pod, pod
from tests.bed.sidecar import sidecar
from tests.bed.wait import until
from tests.samples import OWN_DOMAIN, vmi_json

pytestmark = [pytest.mark.netns, pytest.mark.vm]
KERNEL = Path("/usr/lib/ipxe/ipxe.lkrn")
URL = "http://[2001:db8:2::10]/boot.ipxe"
# file is what firmware loads iPXE from; iPXE itself must not load it again.
BOOT = {"dsbridge.io/default": {"boot": {"file": "ipxe.kpxe", "ipxe": "menu.ipxe", "url": URL}}}
# Lines that fit the 80 columns of its console.
SCRIPT = """#!ipxe
ifopen net0
ifconf -c dhcp net0
echo @ipv4 ${net0/ip} ${net0/netmask} ${net0/gateway} ${net0/dns} ${net0/filename}
ifconf -c ipv6 net0
echo @ipv6 ${net0/ip6} ${net0/gateway6} ${net0/dns6}
echo @url ${net0.dhcpv6/filename}
echo @end
"""


@contextmanager
def booted(made: Pod) -> Iterator[Path]:
    """Boot SCRIPT on the pod's tap and yield the file that is its console."""
    script, console = made.workdir / "script.ipxe", made.workdir / "console"
    script.write_text(SCRIPT)
    # Without a graphics card SeaBIOS shows on the serial line what iPXE prints.
    machine = "-accel tcg -machine pc,graphics=off -m 128 -nodefaults -no-user-config"
    tap = "tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=off"
    with console.open("wb") as out:
        process = made.netns.popen(
            "qemu-system-x86_64", *machine.split(), "-display", "none", "-serial", "stdio",
            "-kernel", str(KERNEL), "-initrd", str(script), "-netdev", tap,
            "-device", f"virtio-net-pci,netdev=n0,mac={made.layout.mac},romfile=",
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield console
    finally:
        end(process)


def test_ipxe_is_configured_by_both_families_and_told_what_to_boot() -> None:
    with pod("flat") as made, sidecar(made) as running, collect(running.hooks_dir) as hook:
        hook.define(OWN_DOMAIN, vmi_json(BOOT))
        with booted(made) as console:
            until(lambda: b"@end\r" in console.read_bytes(), "the end of the script", 60)
            told = dict(
                line[1:].split(" ", 1)
                for line in console.read_text(errors="replace").splitlines()
                if line.startswith(("@ip", "@url"))
            )
    assert told["ipv4"] == "10.244.1.5 255.255.255.0 10.244.1.1 10.96.0.10 menu.ipxe"
    router = "fe80::858:aff:fef4:101"
    assert told["ipv6"] == f"fd00:10:244:1::5 {router} fd00:10:96::a"
    assert told["url"] == URL


def test_ipxe_which_takes_one_address_takes_the_pods_first() -> None:
    """The kernel lists IPv6 addresses newest first."""
    flat = LAYOUTS["flat"]
    several = replace(flat, ipv6=(*flat.ipv6, IPv6Interface("fd00:10:244:1::2/64")))
    with pod(several) as made, sidecar(made) as running, collect(running.hooks_dir) as hook:
        hook.define(OWN_DOMAIN, vmi_json())
        with booted(made) as console:
            until(lambda: b"@end" in console.read_bytes(), "iPXE's last words", 120)
        assert f"@ipv6 {flat.ipv6[0].ip} " in console.read_text(errors="replace")
