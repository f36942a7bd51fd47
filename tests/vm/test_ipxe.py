"""iPXE, the network boot loader, gets an address of each family and learns what to boot."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Interface
from pathlib import Path

import pytest

from tests.bed.firmware import booted
from tests.bed.launcher import collect
from tests.bed.layouts import LAYOUTS
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


def machine(made: Pod) -> tuple[str, ...]:
    """Return what boots SCRIPT; without a graphics card SeaBIOS prints on the serial line."""
    script = made.workdir / "script.ipxe"
    script.write_text(SCRIPT)
    started = "-kernel", str(KERNEL), "-initrd", str(script)
    return "-machine", "pc,graphics=off", "-m", "128", *started


def test_ipxe_is_configured_by_both_families_and_told_what_to_boot() -> None:
    with pod("flat") as made, sidecar(made) as running, collect(running.hooks_dir) as hook:
        hook.define(OWN_DOMAIN, vmi_json(BOOT))
        with booted(made, *machine(made)) as console:
            until(lambda: "@end\n" in console.text, "the end of the script", 60)
            told = dict(
                line[1:].split(" ", 1)
                for line in console.text.splitlines()
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
        with booted(made, *machine(made)) as console:
            until(lambda: "@end" in console.text, "iPXE's last words", 120)
        assert f"@ipv6 {flat.ipv6[0].ip} " in console.text
