"""GRUB, loaded by a NIC's own PXE ROM, gets an address of each family by its own clients."""

from __future__ import annotations

import json
import re
import subprocess
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from tests.bed.dnsmasq import dnsmasq
from tests.bed.pod import pod
from tests.bed.virtual_machine import virtual_machine
from tests.samples import vmi_object

pytestmark = [pytest.mark.netns, pytest.mark.vm_long]
MODULES = ("pxe", "net", "tftp", "serial", "terminal", "echo", "halt", "sleep")
SCRIPT = """serial --unit=0 --speed=115200
terminal_output serial
net_bootp
echo @four
net_ls_addr
net_bootp6
echo @six
net_ls_addr
net_ls_routes
echo @end .
sleep 600
"""


def image(directory: Path) -> None:
    """Make a GRUB of the PXE kind that runs SCRIPT."""
    script = directory / "script"
    script.write_text(SCRIPT)
    made = str(directory / "core.0")
    kind = ("-O", "i386-pc-pxe", "-p", "/", "-c", str(script), "-o", made)
    subprocess.run(["grub-mkimage", *kind, *MODULES], check=True)


def test_grub_has_both_addresses() -> None:
    vmi = vmi_object("01-single-binding")
    boot = {"boot": {"file": "core.0", "server": "10.244.1.1"}}
    vmi["metadata"]["annotations"]["dsbridge.io/default"] = json.dumps(boot)
    vmi["spec"]["domain"]["devices"]["interfaces"][0]["bootOrder"] = 1
    with pod("flat") as made, virtual_machine(made, vmi) as machine:
        served = made.workdir / "tftp"
        served.mkdir()
        image(served)
        options = ("--enable-tftp", f"--tftp-root={served}", "--dhcp-range=192.0.2.99,192.0.2.99")
        with (
            dnsmasq(made.gateway, "cni0", made.workdir / "boot", *options),
            machine.daemon.started(machine.domain) as guest,
        ):
            said = guest.wait_for("@end", 0, 120)
    four, six = re.split("@six", said.partition("@four")[2])
    assert f"pxe:dhcp {made.layout.mac} {made.layout.ipv4[0].ip}\n" in four, said
    assert f"pxe:dhcp6 {made.layout.mac} {grubs(made.layout.ipv6[0].ip)}\n" in six, said


def grubs(address: IPv6Address) -> str:
    """Return an address as GRUB writes it: all eight words."""
    return ":".join(f"{int(word, 16):x}" for word in address.exploded.split(":"))
