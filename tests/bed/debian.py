"""Disk, kernel and initramfs of guests that are whole Debian systems, kept under .cache/vm.

One disk holds every client's package; at its first boot it becomes the guest that the kernel's
command line names (`debian/guests/NAME`), and stays that.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bed.image import CACHE, MODULES, alone, image, packed, plain, program
from tests.bed.libvirt_domain import Kernel

_SOURCE = Path(__file__).with_name("debian")
_RELEASE = "bookworm"
_PACKAGES = (
    "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "iputils-ping", "busybox-static",
    "systemd-resolved", "network-manager", "netplan.io", "cloud-init", "ifupdown",
    "isc-dhcp-client", "dhcpcd5", "udhcpc", "wide-dhcpv6-client",
)  # fmt: skip
_MIRRORS = f"""\
deb http://deb.debian.org/debian {_RELEASE} main
deb http://deb.debian.org/debian {_RELEASE}-updates main
deb http://deb.debian.org/debian-security {_RELEASE}-security main
"""
# What udev and mount look for beyond what the initramfs has loaded.
_MORE_MODULES = ("drivers/cdrom", "fs/isofs", "fs/autofs", "drivers/char/hw_random", "fs/nls")
_DISK = 700 << 20
NAMES = tuple(sorted(path.name for path in (_SOURCE / "guests").iterdir()))


def kernel(guest: str) -> Kernel:
    """Return what boots a disk as one of NAMES."""
    words = "console=ttyS0 panic=-1 quiet loglevel=1 no_timer_check systemd.show_status=false"
    return Kernel(image().kernel, _made("initrd", _build_initrd), f"{words} guest={guest}")


@contextmanager
def disk() -> Iterator[Path]:
    """Make a disk that has never been booted, where user 107 may write it."""
    with tempfile.TemporaryDirectory(prefix="dsbridge-") as text:
        made = Path(text) / "disk"
        subprocess.run(["cp", "--sparse=always", _made("disk", _build_disk), made], check=True)
        made.parent.chmod(0o755)
        made.chmod(0o666)
        yield made


def _made(name: str, build: Callable[[Path], Path]) -> Path:
    """Return a file of the cache, built anew where something that goes into it has changed."""
    sources = [Path(__file__), *sorted(_SOURCE.rglob("*"))]
    seen = hashlib.sha256(b"".join(one.read_bytes() for one in sources if one.is_file()))
    made = CACHE / f"debian-{name}-{seen.hexdigest()[:12]}"
    with alone(f"debian-{name}"):
        if not made.exists():
            for older in CACHE.glob(f"debian-{name}-*"):
                older.unlink()
            with tempfile.TemporaryDirectory(dir=CACHE) as text:
                build(Path(text)).rename(made)
    return made


def _packages() -> Path:
    """Return the unconfigured system as a tar: a minute and 150 MB of packages, once."""
    made = CACHE / f"debian-{_RELEASE}.tar"
    with alone("debian-packages"):
        if not made.exists():
            draft = made.with_suffix(f".{os.getpid()}.tar")
            left_out = ("doc", "locale", "man", "info")
            command = [
                *("mmdebstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}"),
                *(f"--dpkgopt=path-exclude=/usr/share/{one}/*" for one in left_out),
                *(_RELEASE, str(draft), "-"),
            ]
            done = subprocess.run(
                command, input=_MIRRORS, text=True, capture_output=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"mmdebstrap: {done.stderr[-2000:]}")
            draft.rename(made)
    return made


def _build_disk(work: Path) -> Path:
    root = work / "root"
    root.mkdir()
    # /dev is the kernel's; nobody but root of the machine could make its nodes.
    subprocess.run(["tar", "-xf", _packages(), "-C", root, "--exclude=./dev/*"], check=True)
    (modules,) = _modules().glob("*")
    for part in _MORE_MODULES:
        if (modules / "kernel" / part).exists():
            place = root / "lib/modules" / modules.name / "kernel" / part
            shutil.copytree(modules / "kernel" / part, place)
    for index in modules.glob("modules.*"):
        shutil.copy(index, root / "lib/modules" / modules.name)
    subprocess.run([program("depmod"), "-b", root, modules.name], check=True)
    shutil.copytree(_SOURCE / "system", root, dirs_exist_ok=True)
    shutil.copytree(_SOURCE / "guests", root / "guests")
    subprocess.run(["chroot", root, "sh", "/guest-setup"], check=True, capture_output=True)
    made = work / "disk"
    with made.open("wb") as file:
        file.truncate(_DISK)
    subprocess.run([program("mkfs.ext4"), "-q", "-O", "^has_journal", "-d", root, made], check=True)
    return made


def _modules() -> Path:
    """Return where the kernel's modules are, one directory for its version."""
    return next(image().kernel.parents[1].rglob("lib/modules"))


def _build_initrd(work: Path) -> Path:
    root = work / "initrd-root"
    for name in ("bin", "proc", "sys", "dev", "modules", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy(program("busybox"), root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    for index, module in enumerate((*MODULES, "virtio_blk")):
        for found in _modules().glob(f"**/{module}.ko*"):
            (root / "modules" / f"{index:02}-{module}.ko").write_bytes(plain(found))
    shutil.copy(_SOURCE / "init", root / "init")  # with its mode
    return packed(root, work / "initrd")


if __name__ == "__main__":  # what is fetched, before a namespace without network is entered
    image()
    _packages()
