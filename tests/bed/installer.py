"""Debian's installer as its netboot package has it, kept under .cache/vm."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.bed.image import CACHE, alone, apt
from tests.bed.libvirt_domain import Kernel

_PACKAGE = "debian-installer-12-netboot-amd64"
_PLACE = "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"


def installer(*words: str) -> Kernel:
    """Return what boots it with more words on the kernel's command line; downloads 130 MB once."""
    made = CACHE / "installer"
    with alone("installer"):
        if not made.exists():
            _download(made)
    line = ("console=ttyS0", "quiet", "no_timer_check", "DEBIAN_FRONTEND=text", *words)
    return Kernel(made / "linux", made / "initrd.gz", " ".join(line))


def _download(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as text:
        work = Path(text)
        apt("apt-get", "download", _PACKAGE, cwd=work)
        (package,) = work.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, work / "tree"], check=True)
        (work / "tree" / _PLACE).rename(target)


if __name__ == "__main__":  # what is fetched, before a namespace without network is entered
    installer()
