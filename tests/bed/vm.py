"""A booted virtual machine on a tap, and what it says about its network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from tests.bed.console import Terminal
from tests.bed.image import CACHE, Image, image
from tests.bed.netns import end
from tests.bed.pod import REMOTE4, REMOTE6, Pod


@dataclass(frozen=True, slots=True)
class Nic:
    """What QEMU takes from one `<interface>` of the domain."""

    mac: str
    tap: str
    mtu: int | None = None
    queues: int = 1


@contextmanager
def vm(pod: Pod, *nics: Nic, options: tuple[str, ...] = ()) -> Iterator[Terminal]:
    """Boot a guest with these NICs in the pod's namespace and pull its plug at exit.

    `options` are further ones of QEMU.
    """
    for nic in nics:
        if not pod.netns.has(nic.tap):
            raise RuntimeError(f"no {nic.tap} in the pod: QEMU would not start")
    console = pod.workdir / "console"
    with console.open("wb") as out:
        process = pod.netns.popen(
            *_command(image(), accelerator(), f"reach={REMOTE4} reach={REMOTE6}"),
            *(word for index, nic in enumerate(nics) for word in _network(index, nic)),
            *options,
            stdin=subprocess.PIPE,
            bufsize=0,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Terminal(console, process.stdin.write, lambda: process.poll() is not None)
    finally:
        end(process)
        process.stdin.close()


def nics(domain: str) -> tuple[Nic, ...]:
    """Read the NICs of a libvirt domain, in order."""
    found = []
    for element in etree.fromstring(domain).iterfind("devices/interface"):
        mtu, driver = element.find("mtu"), element.find("driver")
        found.append(
            Nic(
                mac=element.find("mac").get("address"),
                tap=element.find("target").get("dev"),
                mtu=None if mtu is None else int(mtu.get("size")),
                queues=1 if driver is None else int(driver.get("queues", "1")),
            )
        )
    return tuple(found)


def accelerator() -> str:
    """Return kvm where it boots our kernel within 5 s, else tcg; found out once per host boot."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = CACHE / f"accelerator-{boot}"
    if not known.exists():
        draft = known.with_suffix(f".{os.getpid()}")
        draft.write_text("kvm" if _kvm_boots(image()) else "tcg")
        draft.rename(known)  # whole or not at all: other tests may read it now
    return known.read_text()


def _kvm_boots(guest: Image) -> bool:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    try:
        done = subprocess.run(
            _command(guest, "kvm", "probe"), capture_output=True, timeout=5, check=False
        )
    except subprocess.TimeoutExpired:
        return False  # a device node that emulates: seen with nested virtualization
    return b"@userland" in done.stdout


def _command(guest: Image, accel: str, words: str) -> list[str]:
    if accel == "tcg":  # on a busy machine the guest's kernel may find its emulated timer too slow
        words = f"no_timer_check {words}"
    return [
        "qemu-system-x86_64", "-accel", accel, "-machine", "q35", "-smp", "1", "-m", "128",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
        "-kernel", str(guest.kernel), "-initrd", str(guest.initrd),
        "-append", f"console=ttyS0 panic=-1 net.ifnames=0 quiet {words}",
    ]  # fmt: skip


def _network(index: int, nic: Nic) -> list[str]:
    netdev = f"tap,id=n{index},ifname={nic.tap},script=no,downscript=no,vhost=off"
    device = f"virtio-net-pci,disable-legacy=on,netdev=n{index},mac={nic.mac},romfile="
    if nic.queues > 1:
        netdev += f",queues={nic.queues}"
        device += f",mq=on,vectors={2 * nic.queues + 2}"
    if nic.mtu is not None:
        device += f",host_mtu={nic.mtu}"
    return ["-netdev", netdev, "-device", device]
