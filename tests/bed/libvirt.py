"""A real libvirtd as virt-launcher's container runs one: uid 107, no capability, in the pod."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from tests.bed.console import Terminal
from tests.bed.handler import QEMU_USER
from tests.bed.image import CACHE
from tests.bed.netns import end
from tests.bed.pod import Pod
from tests.bed.wait import until

_KNOWN = CACHE / "libvirt"
_UNPRIVILEGED = (
    *("setpriv", "--reuid", str(QEMU_USER), "--regid", str(QEMU_USER), "--clear-groups"),
    *("--no-new-privs", "--bounding-set", "-all", "--inh-caps", "-all"),
)
# `ip netns exec` gives each process its own mounts. A node without /dev/vhost-net gets one that
# opens and then refuses: QEMU warns and does virtio-net itself, as libvirt insists on a file.
_OWN_DEV = """
mount -t tmpfs -o mode=755 tmpfs "$0"
mkdir "$0/net" "$0/pts" "$0/shm"
for node in null zero full random urandom net/tun; do
  touch "$0/$node" && mount --bind "/dev/$node" "$0/$node"
done
touch "$0/vhost-net"
mount --bind "$([ -e /dev/vhost-net ] && echo /dev/vhost-net || echo /dev/null)" "$0/vhost-net"
mount --rbind /dev/pts "$0/pts" && ln -s pts/ptmx "$0/ptmx"
mount -t tmpfs tmpfs "$0/shm"
mount --move "$0" /dev
exec "$@"
"""
_QEMU_CONF = """\
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
security_driver = "none"
"""
_LIBVIRTD_CONF = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_dir = "{run}"
host_uuid = "{uuid}"
log_outputs = "2:file:{run}/libvirtd.log"
"""


@dataclass(frozen=True, slots=True)
class Libvirt:
    """The running daemon, by its client."""

    run: Path
    """The one directory that libvirtd and QEMU may write."""
    process: subprocess.Popen[bytes]

    def virsh(self, *words: str) -> str:
        """Return what virsh prints; RuntimeError quotes its complaint."""
        socket_file = next(self.run.rglob("libvirt-sock"))
        done = subprocess.run(
            ["virsh", "--connect", f"qemu:///session?socket={socket_file}", *words],
            text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"virsh {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def define(self, domain: str) -> str:
        """Define a domain and return how libvirt reads it, as virt-launcher does after a hook."""
        file = self.run / "domain.xml"
        file.write_text(domain)
        name = self.virsh("define", str(file)).split("'")[1]
        return self.virsh("dumpxml", "--inactive", name)

    def qemu(self) -> int:
        """Return the pid of the only machine's QEMU."""
        (pid,) = self.run.rglob("qemu/run/default_*.pid")
        return int(pid.read_text())

    @contextmanager
    def started(self, domain: str) -> Iterator[Terminal]:
        """Define and start a domain of `on_this_machine`; at exit pull its plug."""
        self.define(domain)
        name = etree.fromstring(domain).findtext("name")
        self.virsh("start", name)
        running = Path("/proc") / str(self.qemu())
        try:
            with closing(socket.socket(socket.AF_UNIX)) as serial:
                serial.connect(str(self.run / "serial"))
                # QEMU logs what it writes, but the guest stops where nobody reads it.
                threading.Thread(target=_drain, args=(serial,), daemon=True).start()
                yield Terminal(
                    self.run / "console",
                    serial.sendall,
                    lambda: not running.exists(),
                )
        finally:
            with suppress(RuntimeError):  # it may have ended, and so may libvirtd
                self.virsh("destroy", name)


def _drain(line: socket.socket) -> None:
    with suppress(OSError):
        while line.recv(1 << 16):
            pass


@contextmanager
def libvirt(pod: Pod) -> Iterator[Libvirt]:
    """Run libvirtd in the pod's namespace; at exit it and its machines end."""
    run = pod.workdir / "libvirt"
    (run / "home/.config/libvirt").mkdir(parents=True)
    (run / "xdg").mkdir()
    (run / "dev").mkdir()
    (run / "home/.config/libvirt/qemu.conf").write_text(_QEMU_CONF)
    (run / "libvirtd.conf").write_text(_LIBVIRTD_CONF.format(run=run, uuid=uuid.uuid4()))
    if _KNOWN.exists():  # what QEMU can do, which takes libvirtd 8 s to find out
        shutil.copytree(_KNOWN, run / "cache")
    (run / "cache").mkdir(exist_ok=True)
    for path in (run, *run.rglob("*")):
        os.chown(path, QEMU_USER, QEMU_USER)
    environ = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": f"{run}/home",
        "XDG_RUNTIME_DIR": f"{run}/xdg",
        "XDG_CONFIG_HOME": f"{run}/home/.config",
        "XDG_CACHE_HOME": f"{run}/cache",
    }
    with (run / "stderr").open("wb") as out:
        process = pod.netns.popen(
            *("sh", "-ec", _OWN_DEV, f"{run}/dev", *_UNPRIVILEGED),
            *("libvirtd", "-f", f"{run}/libvirtd.conf", "--pid-file", f"{run}/libvirtd.pid"),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    found = Libvirt(run, process)
    try:
        until(lambda: any(run.rglob("libvirt-sock")), "libvirtd's socket")
        found.virsh("version")
        _keep(run / "cache")
        yield found
    except Exception as error:  # whatever it is: it is raised again
        for log in ("libvirtd.log", "stderr"):
            if (run / log).exists():
                error.add_note(f"{log}:\n{(run / log).read_text()[-3000:]}")
        raise
    finally:
        end(process)


def _keep(cache: Path) -> None:
    if _KNOWN.exists():
        return
    draft = _KNOWN.with_suffix(f".{os.getpid()}")
    shutil.copytree(cache, draft)
    with suppress(OSError):  # another test was first
        draft.rename(_KNOWN)
