"""U-Boot, the firmware of many boards, learns its server and file from a reply's header."""

from __future__ import annotations

import pytest

from tests.bed.firmware import booted
from tests.bed.launcher import collect
from tests.bed.pod import pod
from tests.bed.sidecar import sidecar
from tests.bed.wait import until
from tests.samples import OWN_DOMAIN, vmi_json

pytestmark = [pytest.mark.netns, pytest.mark.vm]
FIRMWARE = "/usr/lib/u-boot/qemu-x86/u-boot.rom"
MACHINE = "-machine", "pc,graphics=off", "-m", "256", "-bios", FIRMWARE
BOOT = {"dsbridge.io/default": {"boot": {"file": "boot.img", "server": "10.244.1.1"}}}


def test_u_boot_knows_its_server_and_its_file() -> None:
    """It asks for neither option 66 nor 67, and said "`serverip' not set"."""
    with pod("flat") as made, sidecar(made) as running, collect(running.hooks_dir) as hook:
        hook.define(OWN_DOMAIN, vmi_json(BOOT))
        with booted(made, *MACHINE, card="e1000") as console:
            until(lambda: "Hit any key to stop autoboot" in console.text, "U-Boot's prompt", 120)
            console.type("")
            until(lambda: "=> " in console.text, "U-Boot's prompt", 60)
            console.type("setenv autoload no; dhcp; echo @$serverip@$bootfile@$ipaddr@")
            told = f"@10.244.1.1@boot.img@{made.layout.ipv4[0].ip}@"
            until(lambda: told in console.text, "what U-Boot was told", 60)
