"""A domain of KubeVirt's made fit for this machine, before any hook sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lxml import etree


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is booted without a boot loader."""

    kernel: Path
    initrd: Path
    words: str = ""


def on_this_machine(
    domain: str, run: Path, kernel: Kernel | None = None, disks: tuple[Path, ...] = ()
) -> str:
    """Return the domain for plain QEMU without KVM, writing into `run` alone.

    Its first serial line is logged to `run/console` and can be written at `run/serial`. Without a
    kernel its firmware boots what `<boot order>` says. KubeVirt's disks give way to `disks`.
    """
    root = etree.fromstring(domain)
    root.set("type", "qemu")
    if (cpu := root.find("cpu")) is not None:
        cpu.attrib.pop("mode", None)
    machine = root.find("os")
    etree.SubElement(machine, "bios", useserial="yes")  # for what knows no serial line
    if kernel is not None:
        etree.SubElement(machine, "kernel").text = str(kernel.kernel)
        etree.SubElement(machine, "initrd").text = str(kernel.initrd)
        etree.SubElement(machine, "cmdline").text = kernel.words
    devices = root.find("devices")
    for device in list(devices):
        if device.tag in ("disk", "hostdev", "graphics", "video"):
            devices.remove(device)
    for index, disk in enumerate(disks):
        devices.append(_disk(index, disk))
    for channel in devices.iterfind("channel"):  # libvirt's own path for it would be too long
        etree.SubElement(channel, "source", mode="bind", path=str(run / "agent"))
    serial = devices.find("serial")
    serial.find("source").set("path", str(run / "serial"))
    etree.SubElement(serial, "log", file=str(run / "console"))
    return etree.tostring(root, encoding="unicode")


def _disk(index: int, file: Path) -> etree._Element:
    disk = etree.Element("disk", type="file", device="disk", model="virtio-non-transitional")
    etree.SubElement(disk, "source", file=str(file))
    etree.SubElement(disk, "target", bus="virtio", dev=f"vd{chr(ord('a') + index)}")
    etree.SubElement(disk, "driver", name="qemu", type="raw")
    return disk
