"""A guest operating system as far as a DHCP client can tell, around one network namespace.

Own processes, host name, /run, /etc and client state: what a client writes there is lost
with it, so several run at once and nothing of the machine changes.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bed.netns import Netns
from tests.bed.wait import until

# PID 1 of the guest. Its standard input is ours: when we die it reads end of file, exits, and
# the kernel ends everything in its PID namespace.
_INIT = r"""
set -e
read -r outside _ </proc/self/stat
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
# A copy, not an overlay: in a user namespace the files of the real root cannot be replaced.
cp -r /etc /run/etc 2>/dev/null || :
mount --bind /run/etc /etc
for state in /var/lib/dhcp /var/lib/dhcpcd /var/lib/dhcpv6 /var/lib/NetworkManager; do
  [ ! -d $state ] || mount -t tmpfs -o mode=755 tmpfs $state
done
rm -f /etc/resolv.conf
: >/etc/resolv.conf
tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
hostname localhost
echo "$outside"
while read -r _; do :; done
"""
# What ifupdown does before DHCPv6 clients: they give up on a tentative link-local address.
SETTLED = 'until ip -6 -o addr show dev "$0" scope link -tentative | grep -q .; do sleep 0.1; done'


@dataclass(slots=True)
class Daemon:
    """A process in the guest, in the foreground of its own supervisor."""

    guest: Userland
    pid: int
    """As the guest numbers it."""
    process: subprocess.Popen[str]
    """Our handle; its exit status is the daemon's."""

    def signal(self, name: str) -> None:
        self.guest.run("kill", f"-{name}", str(self.pid))

    def stop(self, name: str, timeout: float = 60) -> None:
        """Send a signal and wait until the process is gone."""
        if self.process.poll() is None:
            self.signal(name)
            self.process.wait(timeout)


@dataclass(slots=True)
class Userland:
    """Where the client lives. Paths are the guest's; seconds everywhere."""

    netns: Netns
    interface: str
    workdir: Path
    init: int
    """PID of the guest's PID 1, as the machine numbers it."""
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def log(self) -> str:
        """Everything that the client and its scripts printed."""
        return (self.workdir / "client.log").read_text(errors="replace")

    def _enter(self, argv: tuple[str, ...]) -> list[str]:
        return ["nsenter", f"--target={self.init}", "-m", "-u", "-p", "-n", "--", *argv]

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a command to its end; its output, errors included, also goes to the log."""
        done = subprocess.run(
            self._enter(argv), check=False, text=True, errors="replace", timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        with (self.workdir / "client.log").open("a") as log:
            log.write(f"+ {shlex.join(argv)} -> {done.returncode}\n{done.stdout}")
        if check and done.returncode:
            message = f"{shlex.join(argv)}: {done.returncode}: {done.stdout}"
            raise RuntimeError(message)
        return done.stdout

    def spawn(self, *argv: str) -> Daemon:
        """Start a process that stays in the foreground, its output in the log."""
        with (self.workdir / "client.log").open("a") as log:
            log.write(f"+ {shlex.join(argv)} &\n")
            log.flush()
            process = subprocess.Popen(
                self._enter(("sh", "-c", 'echo $$; exec "$@" >&2', "sh", *argv)),
                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert process.stdout
        with process.stdout as told:
            daemon = Daemon(self, int(told.readline()), process)
        self.daemons.append(daemon)
        return daemon

    def hostname(self) -> str | None:
        """Return the name that the client gave the guest; None when it gave none."""
        name = subprocess.check_output(self._enter(("hostname",)), text=True).strip()
        return None if name == "localhost" else name

    def index(self) -> int:
        """Return the interface index of the guest's link."""
        return int(self.netns.query("link", "show", "dev", self.interface)[0]["ifindex"])

    def path(self, inside: str) -> Path:
        """Return where the machine sees a file of the guest."""
        return Path(f"/proc/{self.init}/root{inside}")

    def read(self, inside: str) -> str:
        """Read a file of the guest; what does not exist is empty."""
        try:
            return self.path(inside).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def link(self, state: str) -> None:
        """Set the guest's link `up` or `down`."""
        self.netns.ip(f"link set {self.interface} {state}")

    def bus(self) -> None:
        """Start the system message bus, once."""
        if self.path("/run/dbus/system_bus_socket").exists():
            return
        self.path("/run/dbus").mkdir(exist_ok=True)
        self.spawn("dbus-daemon", "--system", "--nofork", "--nopidfile")
        until(self.path("/run/dbus/system_bus_socket").exists, "message bus")


def _reset(netns: Netns, interface: str) -> None:
    """Bring the link back to what a kernel has at boot."""
    netns.ip(f"link set {interface} down\naddr flush dev {interface}")
    conf = {"disable_ipv6": 0, "accept_ra": 1, "autoconf": 1, "addr_gen_mode": 0}
    netns.sysctl(**{f"ipv6__conf__{interface}__{key}": value for key, value in conf.items()})


@contextmanager
def userland(netns: Netns, interface: str, workdir: Path) -> Iterator[Userland]:
    """Make a guest around a network namespace and end all of it on leaving."""
    workdir.mkdir(parents=True, exist_ok=True)
    _reset(netns, interface)
    unshare = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child"]
    with (workdir / "client.log").open("a") as log:
        init = subprocess.Popen(
            netns.command(*unshare, "bash", "-c", _INIT),
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert init.stdin
    assert init.stdout
    guest: Userland | None = None
    try:
        pid = init.stdout.readline()
        if not pid:
            message = f"the guest did not start: {(workdir / 'client.log').read_text()}"
            raise RuntimeError(message)
        guest = Userland(netns, interface, workdir, int(pid))
        yield guest
    finally:
        init.stdin.close()
        init.stdout.close()
        try:
            init.wait(30)
        except subprocess.TimeoutExpired:
            init.kill()
            init.wait()
        for daemon in guest.daemons if guest else ():
            daemon.process.wait(60)
