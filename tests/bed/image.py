"""Kernel and initramfs of the guest VM: the distribution's own, kept under .cache/vm."""

from __future__ import annotations

import fcntl
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "vm"
_GUEST = Path(__file__).with_name("guest")
# Debian's package first; where it does not exist, Ubuntu's.
_KERNELS = ("linux-image-cloud-amd64", "linux-image-virtual")
# In the order they must be loaded; what a kernel has built in is simply not there.
MODULES = (
    "failover", "net_failover", "virtio_ring", "virtio", "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev", "virtio_pci", "virtio_net",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Image:
    """What QEMU boots."""

    kernel: Path
    initrd: Path


def image() -> Image:
    """Return a bootable guest: seconds when the kernel must be downloaded, else at once."""
    with alone("initrd"):
        unpacked = CACHE / "kernel"
        if not unpacked.exists():
            _download(unpacked)
        initrd = CACHE / "initrd"
        _build(unpacked, initrd)
    return Image(next(iter(sorted(unpacked.glob("boot/vmlinuz-*")))), initrd)


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Wait until nobody else makes the file of that name in the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(target: Path) -> None:
    packages = _packages()
    with tempfile.TemporaryDirectory(dir=CACHE) as text:
        work = Path(text)
        apt("apt-get", "download", *packages, cwd=work)
        for package in work.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, work / "tree"], check=True)
        (work / "tree").rename(target)


def _packages() -> list[str]:
    """Return the packages of the newest kernel: image, and modules where those are apart."""
    found = _newest()
    if not found:
        apt("apt-get", "update")  # a fresh container image knows no package at all
        found = _newest()
    if not found:
        raise RuntimeError(f"apt knows none of {', '.join(_KERNELS)}")
    parts = (f"linux-image-{found}", f"linux-modules-{found}")
    return [part for part in parts if _said("apt-cache", "show", part)]


def _newest() -> str:
    for meta in _KERNELS:
        found = re.search(r"Depends: linux-image-(\d\S+)", _said("apt-cache", "depends", meta))
        if found:
            return found[1]
    return ""


def _said(*argv: str) -> str:
    return subprocess.run(argv, text=True, capture_output=True, check=False).stdout


def apt(*argv: str, cwd: Path | None = None) -> None:
    """Run one of apt's commands; RuntimeError quotes what it said."""
    # Another apt is waited for.
    command = (*argv, "--option=DPkg::Lock::Timeout=900")
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")


def _build(unpacked: Path, initrd: Path) -> None:
    """Pack busybox, dhclient with its libraries, virtio modules and our scripts."""
    with tempfile.TemporaryDirectory(dir=CACHE) as text:
        root = Path(text) / "root"
        for name in (
            "bin",
            "proc",
            "sys",
            "dev",
            "tmp",
            "etc",
            "modules",
            "var/run",
            "var/lib/dhcp",
        ):
            (root / name).mkdir(parents=True)
        shutil.copy(program("busybox"), root / "bin/busybox")
        (root / "bin/sh").symlink_to("busybox")
        shutil.copy(program("dhclient"), root / "bin/dhclient")
        for library in _libraries(program("dhclient")):
            place = root / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)
        for index, module in enumerate(MODULES):
            for found in unpacked.glob(f"**/{module}.ko*"):
                (root / "modules" / f"{index}-{module}.ko").write_bytes(plain(found))
        shutil.copytree(_GUEST, root, dirs_exist_ok=True)
        packed(root, Path(text) / "initrd").rename(initrd)


def packed(root: Path, initrd: Path) -> Path:
    """Pack a directory for the kernel, and return the file."""
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with initrd.open("wb") as out:
        subprocess.run(
            [program("busybox"), "cpio", "-o", "-H", "newc"],
            cwd=root, input=names.encode(), stdout=out, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    return initrd


def plain(module: Path) -> bytes:
    """Return a module as the kernel takes it: Debian 13 compresses them by xz, Ubuntu by zstd."""
    if module.suffix == ".xz":
        return lzma.decompress(module.read_bytes())
    if module.suffix == ".zst":
        return subprocess.check_output([program("zstd"), "-dcq", module])
    return module.read_bytes()


def program(name: str) -> str:
    """Return where an installed program is, which may be where only root looks."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found


def _libraries(program: str) -> list[str]:
    return re.findall(r"(/\S+) \(0x", subprocess.check_output(["ldd", program], text=True))


if __name__ == "__main__":  # what is fetched, before a namespace without network is entered
    image()
