"""U-Boot, the firmware of many boards, learns its server and file from a reply's header."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed.launcher import collect
from tests.bed.netns import end
from tests.bed.pod import Pod, pod
from tests.bed.sidecar import sidecar
from tests.bed.wait import until
from tests.samples import OWN_DOMAIN, vmi_json

pytestmark = [pytest.mark.netns, pytest.mark.vm]
FIRMWARE = Path("/usr/lib/u-boot/qemu-x86/u-boot.rom")
BOOT = {"dsbridge.io/default": {"boot": {"file": "boot.img", "server": "10.244.1.1"}}}


@contextmanager
def booted(made: Pod) -> Iterator[subprocess.Popen[bytes]]:
    """Boot U-Boot on the pod's tap; its console is the file `console` in the pod's directory."""
    machine = "-accel tcg -machine pc,graphics=off -m 256 -nodefaults -no-user-config"
    tap = "tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=off"
    with (made.workdir / "console").open("wb") as out:
        process = made.netns.popen(
            "qemu-system-x86_64", *machine.split(), "-display", "none", "-serial", "stdio",
            "-bios", str(FIRMWARE), "-netdev", tap,
            "-device", f"e1000,netdev=n0,mac={made.layout.mac},romfile=",
            stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process
    finally:
        end(process)
        process.stdin.close()


def test_u_boot_knows_its_server_and_its_file() -> None:
    """It asks for neither option 66 nor 67, and said "`serverip' not set"."""
    with pod("flat") as made, sidecar(made) as running, collect(running.hooks_dir) as hook:
        hook.define(OWN_DOMAIN, vmi_json(BOOT))
        with booted(made) as process:
            console = made.workdir / "console"

            def says(text: str) -> bool:
                return text in console.read_text(errors="replace")

            assert process.stdin
            until(lambda: says("Hit any key to stop autoboot"), "U-Boot's prompt", 120)
            process.stdin.write(b"\n")
            process.stdin.flush()
            until(lambda: says("=> "), "U-Boot's prompt", 60)
            process.stdin.write(b"setenv autoload no; dhcp; echo @$serverip@$bootfile@$ipaddr@\n")
            process.stdin.flush()
            until(
                lambda: says(f"@10.244.1.1@boot.img@{made.layout.ipv4[0].ip}@"),
                "what U-Boot was told",
                60,
            )
