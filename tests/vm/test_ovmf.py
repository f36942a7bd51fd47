"""OVMF, the UEFI firmware of KubeVirt's VMs, boots by PXE and by HTTP over either family."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed.firmware import booted
from tests.bed.launcher import collect
from tests.bed.netns import end
from tests.bed.pod import REMOTE4, REMOTE6, Pod, pod
from tests.bed.sidecar import explained, sidecar
from tests.bed.wait import until
from tests.samples import OWN_DOMAIN, vmi_json

# Twenty seconds of emulation.
pytestmark = [pytest.mark.netns, pytest.mark.vm, pytest.mark.matrix]
FIRMWARE = Path("/usr/share/OVMF")
FILES = ("pxe4.efi", "pxe6.efi", "http4.efi", "http6.efi")
PXE, HTTP = "7", "16"  # client architectures of x86-64
BOOT = {
    "server": str(REMOTE4),
    "byArch": {PXE: "pxe4.efi", HTTP: f"http://{REMOTE4}/http4.efi"},
    "urlByArch": {PXE: f"tftp://[{REMOTE6}]/pxe6.efi", HTTP: f"http://[{REMOTE6}]/http6.efi"},
}


@contextmanager
def served(made: Pod) -> Iterator[Path]:
    """Serve FILES by TFTP and HTTP from the host beyond the gateway; yields the servers' log."""
    root, log = made.workdir / "files", made.workdir / "served"
    root.mkdir()
    for name in FILES:
        (root / name).write_bytes(b"No image: the firmware goes on with the next boot option.\n")
    log.touch()
    words = "--keep-in-foreground --conf-file=/dev/null --port=0 --user=root --pid-file="
    tftp = made.remote.popen(
        *("dnsmasq", *words.split(), "--enable-tftp", f"--tftp-root={root}"),
        f"--log-facility={log}",
    )
    with log.open("ab") as lines:
        http = made.remote.popen(
            *(sys.executable, "-m", "http.server", "--bind", "::", "--directory", str(root), "80"),
            stdout=subprocess.DEVNULL,
            stderr=lines,
        )
    try:
        yield log
    finally:
        end(tftp)
        end(http)


def test_ovmf_asks_for_what_it_is_told_by_pxe_and_by_http() -> None:
    with (
        pod("flat") as made,
        served(made) as log,
        sidecar(made) as running,
        explained(running),
        collect(running.hooks_dir) as hook,
    ):
        hook.define(OWN_DOMAIN, vmi_json({"dsbridge.io/default": {"boot": BOOT}}))
        variables = made.workdir / "OVMF_VARS.fd"
        shutil.copy(FIRMWARE / "OVMF_VARS_4M.fd", variables)
        flash = "if=pflash,format=raw,file="
        machine = (
            *("-machine", "q35", "-m", "256"),
            *("-drive", f"{flash}{FIRMWARE}/OVMF_CODE_4M.fd,readonly=on"),
            *("-drive", f"{flash}{variables}"),
            *("-object", "rng-random,id=r0,filename=/dev/urandom"),
            *("-device", "virtio-rng-pci,rng=r0"),
        )
        with booted(made, *machine) as console:
            four, six = made.layout.ipv4[0].ip, made.layout.ipv6[0].ip
            for asked in (
                f"sent {made.workdir}/files/pxe4.efi to {four}",
                f"sent {made.workdir}/files/pxe6.efi to {six}",
                '"GET /http4.efi ',
                '"GET /http6.efi ',
            ):
                until(lambda asked=asked: asked in log.read_text(), f"OVMF: {asked}", 180)
            assert f"Station IP address is {four}" in console.text
