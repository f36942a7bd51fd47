"""This machine's files under another kernel: a VM whose root is ours, read-only, by 9p.

So tests run as they are, with this machine's programs, on the kernel of another release. Kernels
are Debian's packages, kept under .cache/vm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.bed.image import CACHE, apt, packed, plain, program
from tests.bed.vm import accelerator

ROOT = Path(__file__).parents[2]
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_TO_BOOT = ("virtio_pci", "9pnet_virtio", "9p")
_TO_TEST = ("nf_tables", "nft_dup_netdev", "bridge", "veth", "tun", "dummy", "8021q")
_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for one in /modules/*; do $b insmod $one || echo "no $one"; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 root /new
for one in tmp run dev/shm; do
  [ $one = tmp ] || [ $one = run ] || $b mount -t devtmpfs dev /new/dev
  $b mkdir -p /new/$one
  $b mount -t tmpfs tmpfs /new/$one
done
$b mount -t proc proc /new/proc
$b mount -t sysfs sysfs /new/sys
$b cp /command /new/tmp/command
$b ip link set lo up
$b chroot /new /bin/bash -l /tmp/command
echo "@status $?"
$b poweroff -f
"""


def under(release: str, command: str, seconds: float) -> str:
    """Run a shell command as root on the kernel of a Debian release; return what it says.

    Raises RuntimeError, with that, unless it succeeds; subprocess.TimeoutExpired. What it says
    is in .cache/vm/console-RELEASE meanwhile.
    """
    tree = fetched(release)
    (kernel,) = tree.glob("boot/vmlinuz-*")
    console = CACHE / f"console-{release}"
    with tempfile.TemporaryDirectory(dir=CACHE) as room, console.open("wb") as out:
        initrd = _initrd(tree, kernel.name.removeprefix("vmlinuz-"), command, Path(room))
        subprocess.run(
            [
                "qemu-system-x86_64", "-accel", accelerator(), "-cpu", "max", "-machine", "q35",
                "-smp", "1", "-m", "1024", "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot", "-serial", "stdio", "-kernel", kernel, "-initrd", initrd,
                "-append", "console=ttyS0 panic=-1 quiet no_timer_check net.ifnames=0",
                "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
                "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
            ],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            timeout=seconds, check=False,
        )  # fmt: skip
    said = console.read_text(errors="replace").replace("\r", "")
    if "@status 0\n" not in said:
        raise RuntimeError(said[-8000:])
    return said


def fetched(release: str) -> Path:
    """Return a directory with kernel and modules of the newest kernel of a Debian release."""
    tree = CACHE / f"debian-{release}"
    if tree.exists():
        return tree
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as text:
        work = Path(text)
        work.chmod(0o755)
        for name in ("lists/partial", "cache/archives/partial"):
            (work / name).mkdir(parents=True)
        line = f"deb [signed-by={_KEYS}] http://deb.debian.org/debian {release} main\n"
        (work / "sources").write_text(line)
        options = [
            *("-o", f"Dir::Etc::sourcelist={work}/sources", "-o", "Dir::Etc::sourceparts=-"),
            *("-o", f"Dir::State::lists={work}/lists", "-o", f"Dir::Cache={work}/cache"),
        ]
        apt("apt-get", *options, "update")
        depends = subprocess.check_output(
            ["apt-cache", *options, "depends", "linux-image-amd64"], text=True
        )
        package = depends.partition("Depends: ")[2].split()[0]
        apt("apt-get", *options, "download", package, cwd=work)
        (archive,) = work.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, work / "tree"], check=True)
        if not (work / "tree/lib").exists():  # depmod knows lib only, Debian 13 has usr/lib
            (work / "tree/lib").symlink_to("usr/lib")
        (version,) = (work / "tree/lib/modules").iterdir()
        subprocess.run(["depmod", "-b", work / "tree", version.name], check=True)
        (work / "tree").rename(tree)
    return tree


def _initrd(tree: Path, version: str, command: str, room: Path) -> Path:
    """Pack busybox, the modules to boot by and to test with, and the command."""
    root = room / "root"
    for name in ("bin", "dev", "new", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy(program("busybox"), root / "bin/busybox")
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    (root / "command").write_text(
        f"cd {ROOT} || exit\n"
        "export HOME=/tmp HYPOTHESIS_STORAGE_DIRECTORY=/tmp PYTHONDONTWRITEBYTECODE=1\n"
        f"{command}\n"
    )
    for number, module in enumerate(_modules(tree, version)):
        place = root / f"modules/{number:03}-{module.name.partition('.')[0]}.ko"
        place.write_bytes(plain(module))
    return packed(root, room / "initrd")


def _modules(tree: Path, version: str) -> list[Path]:
    """Return the files of the modules and of all that they need, in the order to load them."""
    found: dict[Path, None] = {}
    for name in (*_TO_BOOT, *_TO_TEST):
        words = ["modprobe", "-d", str(tree), "-S", version, "--show-depends", name]
        for line in subprocess.check_output(words, text=True).splitlines():
            kind, *rest = line.split()
            if kind == "insmod":
                found[Path(os.path.realpath(rest[0]))] = None
    return list(found)
